//! The program, run as a process: what it answers, and how it drains. Unix only, since the tests send it signals.

#![cfg(unix)]

mod answers;
mod crowd;
mod drain;
mod load;
mod process;
