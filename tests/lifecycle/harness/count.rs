//! How often each call was made, and each outcome of the model came about: what was never seen was
//! not tested.

use std::cell::Cell;

macro_rules! countable {
    ($($name:ident $text:literal)*) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Seen {
            $($name),*
        }

        const TEXTS: [&str; [$($text),*].len()] = [$($text),*];
    };
}

countable! {
    RootTask "call: a root task"
    RootService "call: a root service"
    StartRaw "call: spawn"
    StartTask "call: run_task"
    StartDaemon "call: run_daemon_task"
    StartService "call: run_child_service"
    StartDaemonService "call: run_daemon_child_service"
    StartRun "call: run, in a task"
    Beside "call: background_service"
    NotBeside "outcome: background_service, its service can no longer be started"
    FromOutside "call: .. from outside any task"
    FromDeep "call: .. four levels deep or more"
    ViaOther "call: .. through another service's context"
    WithGrace "call: .. with a grace"
    WithoutGrace "call: .. with a grace of zero"
    WithLimit "call: .. with few children allowed"
    EndValue "call: return a value"
    EndError "call: return an error"
    EndPanic "call: panic"
    Shield "call: shielded"
    Finally "call: finally"
    Defer "call: defer"
    DropDefer "call: drop a defer guard"
    Leave "call: leave a scope"
    Abort "call: drop a scope, or a wait, from around it"
    CancelLeaf "call: cancel a task"
    CancelSubtree "call: cancel a subtree"
    CancelService "call: cancel a service"
    CancelFromTask "call: .. from a task"
    CancelAbove "call: .. from a task below"
    CancelSelf "call: .. of oneself"
    CancelAndFail "call: cancel, and an error right after"
    Kill "call: kill"
    KillFromTask "call: .. from a task"
    KillAbove "call: .. from a task below"
    KillSelf "call: .. of oneself"
    StopOrKill "call: stop_or_kill, from outside"
    Isolated "call: a task whose failure is its handle's alone"
    CleanupStarts "call: start something in the cleanup of a finally"
    DeferredStarts "call: start something in a deferred cleanup"
    StartSupervisor "call: start a supervisor"
    Await "call: wait_done, wait_finished"
    Stop "call: stop"
    StopWithin "call: stop_timeout, in a task"
    StopOutside "call: stop_timeout, from outside"
    External "call: external_api"
    Ready "call: set_ready"
    Sleep "call: sleep"
    Arm "call: make the future's drop panic"
    Release "call: let a cleanup end"
    ReleasePanic "call: let a cleanup panic"
    Advance "call: let time pass"
    Detach "call: drop a task's handle"
    DetachAll "call: drop a task's handles"
    Forget "call: drop a service's managers and contexts"
    CancelOnDrop "call: cancel_on_drop"
    Batch "call: several in one poll"
    DropRuntime "call: drop the runtime"

    UnderTask "outcome: a child of a task"
    UnderService "outcome: a child of a service"
    BornDone "outcome: born done"
    Covered "outcome: started inside protection"
    Uncovered "outcome: .. outlives the protection, and is covered no more"
    LeftCovered "outcome: .. cancelled when the protection ends"
    BornInGrace "outcome: born being cancelled, in a grace"
    BornUnderLateMark "outcome: born before the mark arrives"
    NotRunning "outcome: NotRunning"
    TooMany "outcome: TooManyChildren"
    RawValue "outcome: spawned, a value"
    RawCancelled "outcome: spawned, Cancelled"
    RawPanicked "outcome: spawned, Panicked"
    TaskValue "outcome: task, a value"
    TaskCancelled "outcome: task, Cancelled"
    TaskPanicked "outcome: task, Panicked"
    TaskFailed "outcome: task, Failed"
    DaemonValue "outcome: daemon, a value"
    DaemonCancelled "outcome: daemon, Cancelled"
    DaemonPanicked "outcome: daemon, Panicked"
    DaemonFailed "outcome: daemon, Failed"
    ServiceClean "outcome: service, its own clean end"
    ServiceStopped "outcome: service, a clean stop"
    ServiceFailed "outcome: service, failed"
    FailedRun "outcome: failure of run, an error"
    FailedTask "outcome: failure of a task, an error"
    PanickedRun "outcome: failure of run, a panic"
    PanickedTask "outcome: failure of a task, a panic"
    PanickedDrop "outcome: failure, a panic in the future's drop"
    PanickedCleanup "outcome: failure, a panic in a deferred cleanup"
    DaemonExit "outcome: DaemonExit of a task"
    DaemonServiceExit "outcome: DaemonExit of a child service"
    FailedChild "outcome: failure of a child service"
    FailedAgain "outcome: a further failure"
    CountsSamePoll "outcome: counts, cancelled in the same poll"
    CountsProtected "outcome: counts, from inside protection"
    CountsGrace "outcome: counts, from inside grace"
    CountsCleanup "outcome: counts, its body had returned before"
    CountsBodyInside "outcome: counts, protection inside the body of a finally"
    ConsequenceBody "outcome: counts not, the body of a finally"
    HeardLater "outcome: a failure that is heard of after a later one"
    ToldAtOnce "outcome: a parent is told of a failure at once"
    DropBeside "outcome: a panic in the drop, beside an error or a panic"
    CleanupBeside "outcome: finally, the cleanup panicked beside the body's end"
    Consequence "outcome: counts not, a consequence of the shutdown"
    ConsequenceAtOnce "outcome: counts not, woken right after the cancel"
    PanicCounts "outcome: a panic counts while being cancelled"
    DaemonMayEnd "outcome: a daemon ends while being cancelled"
    DaemonByHand "outcome: a daemon cancelled by hand is no failure"
    ServiceByHand "outcome: a child service cancelled by hand is no failure"
    RunStaysOwn "outcome: the failure of what a task runs is its own"
    RunWithTree "outcome: what a task runs goes with the tree, not cancelled"
    EndsBeforeChildren "outcome: ended, and waits for children"
    RawPanicCancels "outcome: a spawned task's panic cancels its children"
    CancelNothing "outcome: a cancel of what is done"
    CancelAgain "outcome: a cancel of what is being cancelled"
    KillNothing "outcome: a kill of what is done"
    KillOver "outcome: a kill of what is being cancelled"
    ForcedProtected "outcome: killed, protected"
    ForcedInGrace "outcome: killed, in its grace"
    ForcedCovered "outcome: killed, started inside protection"
    ForcedKeeps "outcome: killed after its end, and keeps its outcome"
    ForcedPanics "outcome: killed, the drop panics"
    ForcedCleanup "outcome: killed in a cleanup"
    ForcedUnborn "outcome: killed, a cleanup dropped unrun"
    IsolatedError "outcome: an isolated task's error is no failure of the service"
    IsolatedPanic "outcome: an isolated task's panic is no failure of the service"
    IsolatedCancels "outcome: .. and cancels what it has left"
    IsolatedDaemon "outcome: an isolated daemon may end"
    StartChild "outcome: a supervisor starts a child"
    Restarted "outcome: .. again"
    RestartsOne "outcome: one for one, a restart"
    RestartsAll "outcome: one for all, a restart"
    RestartsRest "outcome: rest for one, a restart"
    ChildEnds "outcome: a supervisor's child ends for good"
    ChildStopped "outcome: a supervisor stops a child"
    ChildKilled "outcome: a supervisor kills a child"
    GivesUp "outcome: a supervisor gives up"
    SupervisorStops "outcome: a supervisor is stopped"
    SupervisorEnds "outcome: a supervisor has no child left that could run again"
    DroppedAtTurn "outcome: dropped at its turn"
    DroppedAfterGrace "outcome: dropped when the grace is over"
    EndsInGrace "outcome: ends within its grace"
    DroppedWaiting "outcome: dropped in one of the crate's waits"
    BodyDropped "outcome: a body dropped, its cleanup awaited"
    ShieldHolds "outcome: a shield ends after the turn"
    NotBegun "outcome: a shield that comes too late does not begin"
    FinallyGoesOn "outcome: finally, its body returned"
    FinallyEnds "outcome: finally, the task ends through it"
    FinallyPanics "outcome: finally, its body panicked"
    FinallyDropped "outcome: finally, the task is dropped after it"
    FinallyCleanupPanics "outcome: finally, the cleanup panicked"
    FinallyWaits "outcome: finally, waits for what its body left behind"
    FinallyLost "outcome: finally, dropped by its owner"
    CleanupLost "outcome: finally, dropped by its owner in the cleanup"
    ShieldLost "outcome: a shield dropped by its owner"
    RunDropped "outcome: a run dropped cancels the service"
    BodyStops "outcome: background_service, the body's end stops the service"
    BodyFails "outcome: background_service, the service's failure ends the body"
    DeferRan "outcome: defer, run while the task goes on"
    DeferAfter "outcome: defer, run after the future's end"
    DeferCancelled "outcome: defer, run while being cancelled"
    DeferPanicked "outcome: defer, the cleanup of a spawned task panicked"
    AwaitOver "outcome: a wait for a task resolves"
    SleepOver "outcome: a sleep is over"
    StopOver "outcome: stop_timeout in a task, in time"
    StopLate "outcome: stop_timeout in a task, too late"
    Stopped "outcome: stop_timeout, in time"
    TimedOut "outcome: stop_timeout, names what is left"
    StoppedUnkilled "outcome: stop_or_kill, in time"
    StoppedKilled "outcome: stop_or_kill, names what is left and kills it"
    ExternalValue "outcome: external_api, a value"
    ExternalRefused "outcome: external_api, NotRunning at once"
    ExternalEnded "outcome: external_api, ended by the cancellation"
    BecameReady "outcome: wait_ready, ready"
    NeverReady "outcome: wait_ready, NotRunning"
    Killed "outcome: dropped with the runtime"
    KilledProtected "outcome: dropped with the runtime, protected"
    KilledInGrace "outcome: dropped with the runtime, in its grace"
    KilledClosed "outcome: done with the runtime, its children dropped"
    KilledPanics "outcome: dropped with the runtime, the drop panics"
    KilledCleanup "outcome: a cleanup dropped with the runtime"
    KilledUnborn "outcome: a cleanup dropped unrun with the runtime"
}

thread_local! {
    static COUNTS: [Cell<u64>; TEXTS.len()] = const { [const { Cell::new(0) }; TEXTS.len()] };
}

pub(crate) fn seen(what: Seen) {
    COUNTS.with(|counts| {
        let count = &counts[what as usize];
        count.set(count.get() + 1);
    });
}

/// What the calling thread has seen so far: rarest first.
pub(crate) fn counts() -> Vec<(u64, &'static str)> {
    let counts = COUNTS.with(|counts| counts.each_ref().map(Cell::get));
    let mut all: Vec<_> = counts.into_iter().zip(TEXTS).collect();
    all.sort_unstable();
    all
}

/// The same as a table.
pub(crate) fn table() -> String {
    let line = |(count, text)| format!("{count:>12} {text}\n");
    counts().into_iter().map(line).collect()
}
