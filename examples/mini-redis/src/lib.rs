//! A small Redis server and client on taskgrove: the well-known tutorial program of tokio, written anew.
//!
//! ```text
//! mini-redis              server.rs    a service: opens the port, and has no task but these
//! ├─ expiry               db.rs        a daemon: removes keys whose time has come
//! └─ clients              server.rs    a service with a limit on its children: accepts connections
//!    └─ 127.0.0.1:50412   session.rs   one isolated task a connection, with a grace period
//! ```
//!
//! `README.md` compares it with the program on tokio, line by line.

pub mod client;
pub mod command;
pub mod connection;
pub mod db;
pub mod frame;
pub mod server;
mod session;

/// An error of a connection or a command.
pub type Error = taskgrove::BoxError;

/// The result of a command.
pub type Result<T = ()> = std::result::Result<T, Error>;
