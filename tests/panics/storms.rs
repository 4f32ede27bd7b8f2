//! K3, K8: deaths that meet each other.

use std::sync::atomic::Ordering;

use cxtract::Ending;
use cxtract::model::ParkReason;

use crate::support::{REPORTS, Stand, VICTIM, die_at, ending, run};

fn assert_all_complete(what: &str, endings: &[Ending]) {
    for ((name, _), ending) in REPORTS.iter().zip(endings) {
        assert!(matches!(ending, Ending::Complete(_)), "{what}: {name}: {ending:?}");
    }
}

#[test]
fn k8_a_stage_that_dies_is_rebuilt_also_if_the_supervisor_dies_of_that_news() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        for place in [
            "gate/acme",
            "breaker/acme",
            "auth/acme",
            "fetcher/victim",
            "poller/victim",
            "writer/victim",
            "thread/victim",
        ] {
            let (deaths, news) = (die_at(place, 1), die_at("supervisor.died", 0));
            let endings = stand.extract_all(stand.engine());
            assert!(deaths.load(Ordering::SeqCst) > 1 && news.load(Ordering::SeqCst) > 0, "{place}");
            assert_all_complete(place, &endings);
        }
    }
}

#[test]
fn k8_everything_that_dies_once_in_one_run_fails_the_victim_at_most() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        for seed in 0..8 {
            let mut random = fastrand::Rng::with_seed(seed);
            let places = [
                ("page/victim", 12),
                ("fetcher/victim", 12),
                ("writer/victim", 12),
                ("thread/victim", 12),
                ("poller/victim", 2),
                ("gate/acme", 60),
                ("breaker/acme", 30),
                ("auth/acme", 2),
                ("supervisor/victim", 16),
                ("supervisor.died", 3),
            ];
            for (place, n_passes) in places {
                die_at(place, random.u64(..n_passes));
            }
            let endings = stand.extract_all(stand.engine());
            assert_all_complete(&format!("seed {seed}"), &[&endings[1..2], &endings[1..]].concat());
        }
    }
}

#[test]
fn k8_an_engine_whose_supervisor_dies_of_the_shutdown_still_shuts_down() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        let deaths = die_at("supervisor.leaves", 0);
        let parked = run(async {
            let engine = stand.engine().start().expect("the engine starts");
            let extracting = ending(&engine, VICTIM);
            let leaving = async {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                engine.shutdown().await;
            };
            futures::future::join(extracting, leaving).await.0
        });
        assert_eq!(deaths.load(Ordering::SeqCst), 1);
        match parked {
            Ending::Parked(park) => assert_eq!(park.reason, ParkReason::Stopped),
            Ending::Complete(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn k8_all_who_asked_for_one_report_hear_of_its_end_after_the_supervisor_s_death() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        let deaths = die_at("supervisor/victim", 6);
        let endings = run(async {
            let engine = stand.engine().start().expect("the engine starts");
            let endings = futures::future::join_all((0..3).map(|_| ending(&engine, VICTIM))).await;
            engine.shutdown().await;
            endings
        });
        assert!(deaths.load(Ordering::SeqCst) > 6);
        assert!(endings.iter().all(|ending| matches!(ending, Ending::Failed(_))), "{endings:?}");
    }
}
