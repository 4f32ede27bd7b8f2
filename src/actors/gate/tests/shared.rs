use std::sync::atomic::AtomicI64;

use super::*;
use crate::state::{StoreFault, TenantWait};

const DAY: i64 = 86_400_000;

/// A machine whose wall clock can be set.
struct Machine {
    memory: MemoryStore,
    ticks: MachineClock,
    wall: WallClock,
    set_by: Arc<AtomicI64>,
}

impl Machine {
    fn new() -> Self {
        let (start, set_by) = (Instant::now(), Arc::new(AtomicI64::new(0)));
        let set = set_by.clone();
        let wall =
            WallClock::new(move || Timestamp(1_700_000_000_000 + set.load(Ordering::Relaxed)).plus(start.elapsed()));
        Self { memory: MemoryStore::new(wall.clone()), ticks: ticks(), wall, set_by }
    }

    /// The same disk after another start.
    fn restarted(self) -> Self {
        let start = Instant::now();
        let ticks = MachineClock::new(Some(BootId(2)), move || Ticks(5_000_000).plus(start.elapsed()));
        Self { ticks, ..self }
    }

    async fn process(&self) -> Scene {
        self.process_with(StoreHandle::inline(Arc::new(self.memory.clone()))).await
    }

    async fn process_with(&self, store: StoreHandle) -> Scene {
        Scene::with(|parts| {
            parts.store = store;
            parts.ticks = self.ticks.clone();
            parts.clock = self.wall.clone();
            parts.settings.max_in_flight = 40;
        })
        .await
    }

    fn stored_wait(&self) -> Option<TenantWait> {
        use crate::state::Store;
        self.memory.tenant_wait(&TenantName::new("acme")).unwrap()
    }
}

/// Sends pages until the time is over; answers when each went out.
async fn call_until(scene: &Scene, end: Instant) -> Vec<Instant> {
    let mut times = Vec::new();
    while let Ok(permit) = tokio::time::timeout_at(end, scene.page()).await {
        times.push(Instant::now());
        permit.end(Outcome::Ok, None);
    }
    times
}

#[test]
fn x6_two_gates_over_one_store_are_one_client_to_the_tenant() {
    paused(async {
        let machine = Machine::new();
        let (a, b) = (machine.process().await, machine.process().await);
        let end = Instant::now() + 30 * SECOND;
        let (of_a, of_b) = futures::future::join(call_until(&a, end), call_until(&b, end)).await;
        let fewest = of_a.len().min(of_b.len());
        assert!(fewest >= 100, "one of them gets {fewest}");
        let mut times = [of_a, of_b].concat();
        times.sort_unstable();
        assert!(times.windows(11).all(|w| w[10] - w[0] > SECOND));
        assert!(times.len() >= 290, "the limit is not used: {} calls", times.len());
    });
}

#[test]
fn a_single_gate_uses_what_its_log_lets_it() {
    paused(async {
        let machine = Machine::new();
        let scene = machine.process().await;
        let times = call_until(&scene, Instant::now() + 105 * SECOND).await;
        // Ten calls in each 1.052 s, as long as nothing is known of the network.
        assert!((990..1010).contains(&times.len()), "{} calls", times.len());
        for _ in 0..8 {
            scene.page().await.answered();
        }
        let times = call_until(&scene, Instant::now() + 102 * SECOND).await;
        // And in each 1.02 s, once answers have shown that it is even.
        assert!(times.len() >= 999, "{} calls", times.len());
    });
}

#[test]
fn x6_a_pause_told_to_one_process_holds_the_other_and_is_shown_there() {
    paused(async {
        let machine = Machine::new();
        let (a, b) = (machine.process().await, machine.process().await);
        b.page().await.end(Outcome::Ok, None);
        let told = Instant::now();
        a.page().await.told_to_wait(503, Some(60 * SECOND));
        settled().await;
        let _permit = b.page().await;
        assert!(told.elapsed() >= 60 * SECOND && told.elapsed() < 67 * SECOND, "{:?}", told.elapsed());
        settled().await;
        let held = b.held.heard();
        assert!(matches!(held[0].1.wait, Some((WaitReason::ToldToWait(503), _))), "{held:?}");
        assert!(held.last().unwrap().1.wait.is_none());
    });
}

#[test]
fn x6_a_pause_that_one_process_would_not_sit_out_parks_the_other_too() {
    paused(async {
        let machine = Machine::new();
        let (a, b) = (machine.process().await, machine.process().await);
        a.page().await.told_to_wait(429, Some(7200 * SECOND));
        settled().await;
        for call in [CallKind::Token, CallKind::Page] {
            let Err(Refused::Parked(park)) = b.admit(call).await else { panic!("not parked") };
            assert_eq!(park.reason, ParkReason::TenantPause);
        }
    });
}

#[test]
fn x6_a_short_pause_told_to_one_process_does_not_shorten_the_others() {
    paused(async {
        let machine = Machine::new();
        let (a, b) = (machine.process().await, machine.process().await);
        let (of_a, of_b) = (a.page().await, b.page().await);
        of_a.told_to_wait(429, Some(600 * SECOND));
        of_b.told_to_wait(429, Some(5 * SECOND));
        let late = machine.process().await;
        for scene in [a, b, late] {
            let _permit = scene.page().await;
            assert!(scene.start.elapsed() >= 600 * SECOND);
        }
    });
}

#[test]
fn x6_a_complaint_slows_everybody_down() {
    paused(async {
        let machine = Machine::new();
        let (a, b) = (machine.process().await, machine.process().await);
        a.page().await.told_to_wait(429, None);
        settled().await;
        let times = call_until(&b, Instant::now() + 10 * SECOND).await;
        assert!(times.windows(8).all(|w| w[7] - w[0] > SECOND), "seven tenths of ten are seven");
    });
}

#[test]
fn l1_a_pause_is_kept_over_a_new_process_whatever_the_wall_clock_does_meanwhile() {
    for jump in [-DAY, DAY] {
        paused(async {
            let machine = Machine::new();
            machine.process().await.page().await.told_to_wait(429, Some(900 * SECOND));
            let told = Instant::now();
            settled().await;
            machine.set_by.store(jump, Ordering::Relaxed);
            sleep(300 * SECOND).await;
            let next = machine.process().await;
            let _permit = next.page().await;
            assert!(told.elapsed() >= 900 * SECOND && told.elapsed() < 906 * SECOND, "{:?}", told.elapsed());
        });
    }
}

#[test]
fn l1_after_a_start_of_the_machine_a_pause_lasts_no_longer_than_it_was_received_with() {
    // The clock is right, a day slow, a day fast.
    for (jump, least, most) in [(0, 600, 606), (-DAY, 900, 906), (DAY, 0, 2)] {
        paused(async {
            let machine = Machine::new();
            machine.process().await.page().await.told_to_wait(429, Some(900 * SECOND));
            settled().await;
            sleep(300 * SECOND).await;
            machine.set_by.store(jump, Ordering::Relaxed);
            let machine = machine.restarted();
            for _ in 0..2 {
                let next = machine.process().await;
                let asked = tokio::time::timeout(30 * SECOND, next.page()).await;
                assert_eq!(asked.is_ok(), least == 0);
            }
            let last = machine.process().await;
            let _permit = last.page().await;
            let waited = last.elapsed().as_secs() + if least == 0 { 0 } else { 60 };
            assert!((least..=most).contains(&waited), "{waited} s at {jump}");
        });
    }
}

#[test]
fn l1_a_pause_that_a_dead_gate_was_told_of_gets_into_the_store() {
    paused(async {
        let machine = Machine::new();
        let store = StoreHandle::inline(Arc::new(machine.memory.clone()));
        let _rebuilt = Scene::with(|parts| {
            parts.store = store;
            parts.ticks = machine.ticks.clone();
            parts.clock = machine.wall.clone();
            parts.stored_wait = Some((503, 30 * SECOND));
        })
        .await;
        let wait = machine.stored_wait().unwrap();
        assert_eq!((wait.status, wait.pause, wait.received.boot), (503, 30 * SECOND, Some(BootId(1))));
    });
}

#[test]
fn k6_a_call_that_waited_while_the_process_stood_still_for_hours_gets_a_new_token_before_it_goes_out() {
    paused(async {
        let machine = Machine::new();
        let scene = machine.process().await;
        scene.gate.send(renewed(2, 3600 * SECOND)).await.unwrap();
        scene.page().await.told_to_wait(429, Some(60 * SECOND));
        let asked = async { scene.page().await.token().unwrap().generation };
        let stopped = async {
            settled().await;
            tokio::time::advance(7200 * SECOND).await;
            settled().await;
            assert_eq!(scene.wanted.heard().len(), 1, "the old one is over");
            scene.gate.send(renewed(3, 3600 * SECOND)).await.unwrap();
        };
        let (generation, ()) = futures::future::join(asked, stopped).await;
        assert_eq!(generation, TokenGeneration(3));
    });
}

#[test]
fn k6_a_pause_told_elsewhere_while_the_process_stood_still_is_kept() {
    paused(async {
        let machine = Machine::new();
        let (stopped, other) = (machine.process().await, machine.process().await);
        // Its pace is used up, so that the next call waits for its alarm.
        let permits = [stopped.page().await, stopped.page().await, stopped.page().await, stopped.page().await];
        drop(permits);
        let _fifth = stopped.page().await;
        let asked = async {
            let _permit = stopped.page().await;
            Instant::now()
        };
        let meanwhile = async {
            other.permits.told_to_wait.tell(crate::actors::ToldToWait {
                status: 429,
                wait: Some(900 * SECOND),
                received: Instant::now(),
            });
            tokio::task::yield_now().await;
            tokio::time::advance(600 * SECOND).await;
        };
        let (went_out, ()) = futures::future::join(asked, meanwhile).await;
        assert!(went_out - stopped.start >= 900 * SECOND, "{:?}", went_out - stopped.start);
    });
}

#[test]
fn k6_a_turn_that_was_given_before_the_process_stood_still_is_not_used() {
    paused(async {
        let start = Instant::now();
        let leap = Arc::new(AtomicI64::new(0));
        let (n_read, leaps) = (Arc::new(AtomicU64::new(0)), leap.clone());
        let reads = n_read.clone();
        // The first look is the store's; before the gate looks, an hour goes by.
        let ticks = MachineClock::new(Some(BootId(1)), move || {
            if reads.fetch_add(1, Ordering::Relaxed) == 1 {
                leaps.store(3_600_000_000, Ordering::Relaxed);
            }
            Ticks(leaps.load(Ordering::Relaxed)).plus(start.elapsed())
        });
        let scene = Scene::with(|parts| parts.ticks = ticks).await;
        let _permit = scene.page().await;
        assert_eq!(n_read.load(Ordering::Relaxed), 4, "a second turn was asked for");
    });
}

#[test]
fn turns_that_always_come_late_are_asked_for_ahead_so_that_calls_go_out_all_the_same() {
    paused(async {
        let start = Instant::now();
        let late = Arc::new(AtomicI64::new(0));
        // Between any two looks at the clock, the machine is busy with something else.
        let ticks = MachineClock::new(Some(BootId(1)), move || {
            Ticks(late.fetch_add(100_000, Ordering::Relaxed)).plus(start.elapsed())
        });
        let scene = Scene::with(|parts| parts.ticks = ticks).await;
        for _ in 0..20 {
            scene.page().await.end(Outcome::Ok, None);
        }
    });
}

#[test]
fn a_store_that_fails_parks_the_tenants_calls_and_is_asked_again_by_later_ones() {
    paused(async {
        let machine = Machine::new();
        let scene = machine.process().await;
        for call in [CallKind::Token, CallKind::Submit] {
            machine.memory.fail_nth(0, StoreFault::Refused);
            let Err(Refused::Parked(park)) = scene.admit(call).await else { panic!("not parked") };
            assert_eq!(park.reason, ParkReason::StateStore);
            assert!(park.message.contains("acme") && park.message.contains("refused"), "{}", park.message);
        }
        assert!(scene.admit(CallKind::Page).await.is_ok());
    });
}

#[test]
fn a_wait_that_can_not_be_stored_is_kept_all_the_same() {
    paused(async {
        let machine = Machine::new();
        let scene = machine.process().await;
        let permit = scene.page().await;
        machine.memory.fail_nth(0, StoreFault::Refused);
        permit.told_to_wait(429, Some(60 * SECOND));
        let _permit = scene.page().await;
        assert!(scene.elapsed() >= 60 * SECOND);
        assert_eq!(machine.stored_wait(), None);
    });
}

#[tokio::test]
async fn a_store_on_its_own_thread_is_asked_once_for_a_call_and_again_only_where_its_answer_comes_late() {
    let machine = Machine::new();
    let store = StoreHandle::threaded(Arc::new(machine.memory.clone())).unwrap();
    let ticks = MachineClock::system();
    tokio::task::LocalSet::new()
        .run_until(async {
            let scene = Scene::with(|parts| {
                parts.store = store;
                parts.ticks = ticks;
                parts.settings.pace = PaceSettings {
                    requests_per_second: 1e5,
                    burst: 10_000,
                    adaptive: true,
                    jitter: Duration::ZERO,
                    told_most: None,
                };
            })
            .await;
            let n_before = machine.memory.n_calls();
            for _ in 0..2000 {
                scene.page().await.end(Outcome::Ok, None);
            }
            let n_asked = machine.memory.n_calls() - n_before;
            // A turn that comes late on a busy machine is asked for again.
            assert!((2000..3000).contains(&n_asked), "asked {n_asked} times");
        })
        .await;
}
