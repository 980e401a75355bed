//! Memory.

use crate::common::{on_workers, suspend};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use taskgrove::spawn;

fn until(at: &AtomicUsize, stage: usize) {
    let mut spins = 0;
    while at.load(Ordering::Acquire) != stage {
        spins += 1;
        if spins < 5_000 {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// One thread begins to wait for a task while another spawns a child of it: the child's record is
/// its parent's, and nothing is freed twice (run it under a sanitizer, too).
#[test]
fn a_child_is_born_while_somebody_begins_to_wait_for_its_parent() {
    on_workers(2, async || {
        for round in 0..6_000 {
            let at = Arc::new(AtomicUsize::new(0));
            let meet = at.clone();
            let parent = spawn(async move {
                meet.store(1, Ordering::Release);
                until(&meet, 2);
                for _ in 0..round % 64 {
                    std::hint::spin_loop();
                }
                let children = [(); 8].map(|()| spawn(suspend()));
                for child in children {
                    let _ = child.await;
                }
            });
            until(&at, 1);
            at.store(2, Ordering::Release);
            // Makes the record of those who wait.
            parent.wait_done().await;
            assert!(parent.await.is_ok());
        }
    });
}
