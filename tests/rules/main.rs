//! One test for each sentence of the public contract that can fail, in modules by section.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;
#[path = "../common/set.rs"]
mod set;
mod util;

mod background;
mod born_late;
mod cancel;
mod causes;
mod closing_errors;
mod consequences;
mod covered;
mod covered_services;
mod debug;
mod defer;
mod enter;
mod errors;
mod every_await;
mod failures;
mod finally;
mod grace;
mod isolated;
mod kill;
mod left_behind;
mod lifecycle;
mod locals;
mod names;
mod own_awaits;
mod place;
mod room;
mod room_sweep;
mod runtime;
mod scheduling;
mod sets;
mod shield;
mod shutdown;
mod slot;
mod snapshot;
mod stats;
mod stop;
mod tasks;
mod time;
mod timers;
mod too_late;
mod until_cancelled;
mod virtual_time;
mod waits;
mod why;
