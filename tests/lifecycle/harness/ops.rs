//! What a sequence is made of, and how bytes become one: four bytes an operation.

/// How a future is told to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    Value,
    Error,
    Panic,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Raw,
    Task,
    Daemon,
    Service,
    DaemonService,
    /// A service that a task runs and waits for.
    Run,
    /// An incarnation of a supervisor's child.
    Child,
}

impl Kind {
    pub(crate) fn is_service(self) -> bool {
        matches!(
            self,
            Kind::Service | Kind::DaemonService | Kind::Run | Kind::Child
        )
    }

    pub(crate) fn is_daemon(self) -> bool {
        matches!(self, Kind::Daemon | Kind::DaemonService)
    }
}

/// What to start. Selectors are taken modulo what there is to choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Start {
    pub(crate) kind: Kind,
    /// Through the context of this service; `None`: the caller's own.
    pub(crate) via: Option<u8>,
    /// Seconds of grace, of its own.
    pub(crate) grace: Option<u8>,
    /// Its failure is its handle's alone (tasks).
    pub(crate) isolated: bool,
    /// The call waits while the parent is at its limit (tasks).
    pub(crate) when_room: bool,
    /// So many children at most, and no more (services).
    pub(crate) limit: Option<u8>,
    /// It is a supervisor, as this byte says.
    pub(crate) supervisor: Option<u8>,
    /// It runs beside a body of the task's (`background_service`), and is not waited for.
    pub(crate) beside: bool,
}

/// What a task is told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tell {
    End(How),
    Shield,
    /// A cleanup that ends at once, or when told.
    Finally {
        waits: bool,
    },
    Defer {
        waits: bool,
    },
    /// Leaves the innermost scope.
    Leave,
    /// The innermost scope, or wait, is dropped by what is around it.
    Abort,
    DropDefer,
    Start(Start),
    /// Any node: a task by its handle, a service by its manager.
    /// `above`: something that is around it, if there is a handle of that.
    Cancel {
        which: u8,
        above: bool,
    },
    CancelSelf,
    /// As `Cancel`, by force.
    Kill {
        which: u8,
        above: bool,
    },
    KillSelf,
    Await(u8),
    /// Cancels and waits, at most for so many seconds (services).
    Stop {
        which: u8,
        within: Option<u8>,
    },
    /// Says that its service is ready.
    Ready,
    Sleep(u8),
    /// The drop of its future panics.
    Arm,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    RootTask,
    /// With so many children at most.
    RootService(Option<u8>),
    /// Schedules from outside any task.
    Schedule(Start),
    /// `more`: what is told next is told to the same task, for the same poll.
    Tell {
        task: u8,
        tell: Tell,
        more: bool,
    },
    Cancel(u8),
    Kill(u8),
    /// A task's service is cancelled, and right after it the task is told to end with an error.
    CancelAndFail(u8),
    /// A cleanup that waits may end.
    Release {
        which: u8,
        panic: bool,
    },
    Advance(u8),
    /// A task's handle is dropped; `all`: that to cancel it, too.
    Detach {
        which: u8,
        all: bool,
    },
    /// All managers and contexts of a service are dropped.
    Forget(u8),
    CancelOnDrop(u8),
    /// From outside, within so many seconds.
    Stop {
        which: u8,
        within: u8,
    },
    /// From outside: as `Stop`, and a kill when the time is over.
    StopOrKill {
        which: u8,
        within: u8,
    },
    /// A cleanup that runs starts something.
    Cleanup {
        which: u8,
        start: Start,
    },
    /// A call from outside that takes so many seconds.
    External {
        which: u8,
        lasts: u8,
    },
    DropRuntime,
}

pub(crate) const BYTES: usize = 4;

fn start(b: u8, d: u8) -> Start {
    let kind = match b % 8 {
        0 | 6 => Kind::Raw,
        1 => Kind::Task,
        2 => Kind::Daemon,
        3 | 7 => Kind::Service,
        4 => Kind::DaemonService,
        _ => Kind::Run,
    };
    let supervisor = (b % 8 == 7 && d & 128 != 0).then_some(d & 127);
    let d = if supervisor.is_some() { 0 } else { d };
    Start {
        kind,
        supervisor,
        via: (b & 8 != 0).then_some(b >> 4),
        isolated: matches!(kind, Kind::Task | Kind::Daemon) && d & 0x30 == 0x30,
        when_room: matches!(kind, Kind::Task | Kind::Daemon) && d & 0x40 != 0,
        grace: (d & 3 == 3).then_some((d >> 2) & 3),
        limit: (d & 16 != 0).then_some(d >> 5 & 3),
        beside: kind == Kind::Run && d & 128 != 0,
    }
}

/// A task or a daemon that is started when there is room.
fn when_room(b: u8, d: u8) -> Start {
    start(b & !7 | (1 + b % 2), d | 0x40)
}

pub(crate) fn decode_one(bytes: [u8; BYTES]) -> Op {
    let [c, task, b, d] = bytes;
    let more = c & 0x80 != 0;
    let tell = |tell| Op::Tell { task, tell, more };
    match c & 0x7f {
        0..4 => Op::RootTask,
        4..10 => Op::RootService((b & 1 != 0).then_some(1 + b % 4 / 2)),
        10..15 => Op::Schedule(start(task, d)),
        15 => Op::Schedule(when_room(task, d)),
        16..32 => tell(Tell::Start(start(b, d))),
        32..40 => tell(Tell::Start(when_room(b, d))),
        40..48 => tell(Tell::End(How::Value)),
        48..53 => tell(Tell::End(How::Error)),
        53..56 => tell(Tell::End(How::Panic)),
        56..62 => tell(Tell::Shield),
        62..68 => tell(Tell::Finally { waits: b & 3 != 0 }),
        68..74 => tell(Tell::Defer { waits: b & 3 != 0 }),
        74..79 => tell(Tell::Leave),
        79 => tell(Tell::Ready),
        80..83 => tell(Tell::Abort),
        83..85 => tell(Tell::DropDefer),
        85..88 => tell(Tell::Cancel {
            which: b,
            above: d & 3 == 3,
        }),
        88..90 => tell(Tell::CancelSelf),
        90..93 => tell(Tell::Await(b)),
        93..95 => tell(Tell::Stop {
            which: b,
            within: (d & 3 != 0).then_some((d >> 2) & 3),
        }),
        95..97 => tell(Tell::Sleep(b % 4)),
        97 => tell(Tell::Arm),
        98..103 => Op::Cancel(task),
        103..106 => Op::CancelAndFail(task),
        106..115 => Op::Release {
            which: task,
            panic: b & 15 == 15,
        },
        115 => Op::Cleanup {
            which: task,
            start: when_room(b, d),
        },
        116 => match b % 8 {
            0..3 => Op::Kill(task),
            3 | 4 => Op::StopOrKill {
                which: task,
                within: d % 4,
            },
            5 | 6 => tell(Tell::Kill {
                which: d,
                above: b & 8 != 0,
            }),
            _ => tell(Tell::KillSelf),
        },
        117 => Op::Cleanup {
            which: task,
            start: start(b, d),
        },
        118..121 => Op::Advance(task % 4),
        121 => Op::Stop {
            which: task,
            within: b % 4,
        },
        122 => Op::External {
            which: task,
            lasts: b % 4,
        },
        123..126 => match b % 8 {
            0..4 => Op::Detach {
                which: task,
                all: b & 1 != 0,
            },
            4 | 5 => Op::Forget(task),
            _ => Op::CancelOnDrop(task),
        },
        // Seldom: nothing comes after it.
        _ if task < 64 => Op::DropRuntime,
        _ => Op::Cleanup {
            which: task,
            start: start(b, d),
        },
    }
}

/// The longest sequence that is looked at.
const LONGEST: usize = 200;

/// The schedule's seed, and the operations. A rest of less than four bytes is ignored.
pub(crate) fn decode(bytes: &[u8]) -> (u64, Vec<Op>) {
    let Some((seed, rest)) = bytes.split_first() else {
        return (0, Vec::new());
    };
    let (ops, _) = rest.as_chunks::<BYTES>();
    let ops = ops.iter().take(LONGEST).map(|four| decode_one(*four));
    (u64::from(*seed), ops.collect())
}
