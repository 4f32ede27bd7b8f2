//! What is read from each form of these headers, and what is not.

use proptest::prelude::*;

use super::*;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const DATE_SECOND: i64 = 784_111_777;

/// Headers, and what they come to.
type Row = (&'static [(&'static str, &'static str)], Option<RateHint>);

fn answer(headers: &[(&str, &str)]) -> AnswerHead {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    AnswerHead { status: 200, headers }
}

fn read(headers: &[(&str, &str)]) -> Option<RateHint> {
    rate_limit(&answer(headers), Timestamp(DATE_SECOND * 1000))
}

fn hint(ceiling: Option<f64>, remaining: Option<(u64, u64)>) -> Option<RateHint> {
    Some(RateHint { ceiling, remaining: remaining.map(|(n, secs)| (n, Duration::from_secs(secs))) })
}

#[test]
fn structured_policies_and_states_are_read() {
    let table: &[Row] = &[
        (&[("ratelimit-policy", r#""default";q=20;w=1"#)], hint(Some(20.0), None)),
        (&[("ratelimit-policy", r#""default"; q=20; w=1; pk=:c2VjcmV0Cg==:"#)], hint(Some(20.0), None)),
        (&[("ratelimit-policy", "default;q=20;w=1")], hint(Some(20.0), None)),
        (&[("ratelimit-policy", r#""a";q=20;w=1,"b";q=300;w=60"#)], hint(Some(5.0), None)),
        (&[("ratelimit-policy", r#""a";q=20;w=1"#), ("ratelimit-policy", r#""b";q=1;w=2"#)], hint(Some(0.5), None)),
        (&[("ratelimit-policy", r#""a,b;q=1";q=20;w=1"#)], hint(Some(20.0), None)),
        (&[("ratelimit-policy", r#""a";q=20;w=1;qu="requests""#)], hint(Some(20.0), None)),
        (&[("ratelimit-policy", "100;w=50")], hint(Some(2.0), None)),
        (&[("ratelimit-policy", r#"100;w=50;burst=1000;comment="a;w=1", 9;w=9"#)], hint(Some(1.0), None)),
        (&[("ratelimit", r#""default";r=3;t=1"#)], hint(None, Some((3, 1)))),
        (&[("ratelimit", r#""a";r=9;t=3,"b";r=10;t=60"#)], hint(None, Some((10, 60)))),
        (&[("ratelimit", r#""a";r=0;t=1,"b";r=10;t=60"#)], hint(None, Some((10, 60)))),
        (&[("ratelimit", r#""a";r=0;t=30"#)], hint(None, Some((0, 30)))),
        (
            &[("ratelimit-policy", r#""default";q=20;w=1"#), ("ratelimit", r#""default";r=3;t=1"#)],
            hint(Some(20.0), Some((3, 1))),
        ),
    ];
    for (headers, due) in table {
        assert_eq!(read(headers), *due, "{headers:?}");
    }
}

#[test]
fn older_forms_are_read() {
    let table: &[Row] = &[
        (&[("ratelimit", "limit=20, remaining=3, reset=1")], hint(None, Some((3, 1)))),
        (&[("ratelimit", "limit=20,remaining=3"), ("ratelimit", "reset=7")], hint(None, Some((3, 7)))),
        (&[("ratelimit-limit", "20, 20;w=1"), ("ratelimit-remaining", "3")], hint(Some(20.0), None)),
        (
            &[("ratelimit-limit", "20"), ("ratelimit-remaining", "3"), ("ratelimit-reset", "9")],
            hint(None, Some((3, 9))),
        ),
        (&[("ratelimit-limit", "20;w=1")], hint(Some(20.0), None)),
        (&[("x-ratelimit-limit", "10, 10;w=1;name=\"x\", 120;w=60")], hint(Some(2.0), None)),
        (&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", " 10 ")], hint(None, Some((5, 10)))),
        (&[("x-ratelimit-remaining", "90, 5"), ("x-ratelimit-reset", "10, 10")], hint(None, Some((5, 10)))),
        (
            &[("ratelimit-remaining", "50"), ("ratelimit-reset", "10"), ("x-ratelimit-remaining", "5")],
            hint(None, Some((50, 10))),
        ),
    ];
    for (headers, due) in table {
        assert_eq!(read(headers), *due, "{headers:?}");
    }
}

#[test]
fn l3_a_reset_that_is_a_date_counts_from_the_answers_own_date() {
    let at = |date: &str, reset: i64, now: i64| {
        let reset = reset.to_string();
        let head = answer(&[("date", date), ("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", &reset)]);
        rate_limit(&head, Timestamp(now)).and_then(|hint| hint.remaining).map(|(_, time)| time.as_secs())
    };
    let second = 1_767_225_600;
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    for now in [0, second * 1000, i64::MIN, i64::MAX] {
        assert_eq!(at(date, second + 40, now), Some(40), "{now}");
    }
    assert_eq!(at("some day", second + 40, second * 1000), Some(40));
    assert_eq!(at("some day", second + 40, (second + 30) * 1000), Some(10));
    assert_eq!(at(date, second, 0), None, "it is over");
    assert_eq!(at(date, second - 1, 0), None, "it is long over");
    assert_eq!(at(date, (second + 40) * 1000, 0), None, "milliseconds would be tens of thousands of years");
    assert_eq!(at(DATE, second, 0), None, "no quota runs for decades");
}

#[test]
fn what_cannot_be_read_or_cannot_be_true_is_no_hint() {
    let table: &[&[(&str, &str)]] = &[
        &[],
        &[("retry-after", "5")],
        &[("ratelimit", "")],
        &[("ratelimit", ",;=,\"")],
        &[("ratelimit", "\"a\";r=3")],
        &[("ratelimit", "\"a\";t=3")],
        &[("ratelimit", "\"a\";r=-1;t=3")],
        &[("ratelimit", "\"a\";r=3;t=-3")],
        &[("ratelimit", "\"a\";r=3;t=0")],
        &[("ratelimit", "\"a\";r=3.5;t=4")],
        &[("ratelimit", "\"a\";r=3;t=99999999999999999999999")],
        &[("ratelimit", "\"a\";r=99999999999999999999999;t=3")],
        &[("ratelimit", "limit=20, remaining=3")],
        &[("ratelimit", "limit=20, remaining=x, reset=5")],
        &[("ratelimit-policy", "\"a\";q=20")],
        &[("ratelimit-policy", "\"a\";w=20")],
        &[("ratelimit-policy", "\"a\";q=20;w=0")],
        &[("ratelimit-policy", "\"a\";q=0;w=20")],
        &[("ratelimit-policy", "\"a\";q=-20;w=1")],
        &[("ratelimit-policy", "\"a\";q=20;w=1000000000")],
        &[("ratelimit-policy", "\"a\";q=20;w=\"1\"")],
        &[("ratelimit-policy", "\"a;q=20;w=1")],
        &[("ratelimit-policy", "\"a\";q=1000;w=1;qu=\"content-bytes\""), ("ratelimit", "\"a\";r=1;t=60")],
        &[("ratelimit-policy", "\"a\";q=8;w=1;qu=\"concurrent-requests\""), ("ratelimit", "a;r=1;t=60")],
        &[("ratelimit-limit", "20")],
        &[("ratelimit-remaining", "0")],
        &[("ratelimit-reset", "30")],
        &[("ratelimit-remaining", "3"), ("x-ratelimit-reset", "30")],
        &[("x-ratelimit-remaining", "3, 4"), ("x-ratelimit-reset", "30")],
        &[("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "30")],
        &[("x-ratelimit-limit", "unlimited"), ("x-ratelimit-remaining", "unlimited"), ("x-ratelimit-reset", "0")],
        &[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "Sun, 06 Nov 1994 08:50:37 GMT")],
    ];
    for headers in table {
        assert_eq!(read(headers), None, "{headers:?}");
    }
}

#[test]
fn what_cannot_be_read_hides_nothing_that_can() {
    let headers = [
        ("ratelimit-policy", "\"a\";q=0;w=0, \"b\";q=x;w=1, \"c\";q=8;w=2, d"),
        ("ratelimit", "\"a\";r=-1;t=3, \"c\";r=4;t=8"),
        ("x-ratelimit-remaining", "none"),
        ("x-ratelimit-reset", "30"),
    ];
    assert_eq!(read(&headers), hint(Some(4.0), Some((4, 8))));
}

#[test]
fn a_cap_is_the_stricter_one_of_policy_and_state() {
    let secs = Duration::from_secs;
    let table = [
        (hint(Some(20.0), None), Some((20.0, POLICY_HOLDS))),
        (hint(None, Some((30, 60))), Some((0.5, secs(60)))),
        (hint(Some(5.0), Some((30, 60))), Some((0.5, secs(60)))),
        (hint(Some(5.0), Some((600, 60))), Some((5.0, POLICY_HOLDS))),
        (hint(None, Some((0, 30))), Some((0.0, secs(30)))),
        (hint(None, Some((9000, 70_000))), Some((150.0, secs(70_000)))),
        (hint(None, Some((6, 70_000))), Some((0.1, secs(70_000)))),
    ];
    for (hint, due) in table {
        assert_eq!(cap(&hint.unwrap()), due, "{hint:?}");
    }
}

#[test]
fn a_quota_of_one_second_that_is_used_to_the_full_does_not_slow_itself_down() {
    for state in ["\"a\";r=0;t=1", "\"a\";r=1;t=1"] {
        let hint = read(&[("ratelimit-policy", "\"a\";q=20;w=1"), ("ratelimit", state)]).unwrap();
        assert_eq!(cap(&hint), Some((20.0, POLICY_HOLDS)));
    }
    assert_eq!(cap(&hint(None, Some((0, 1))).unwrap()), None);
    assert_eq!(cap(&hint(None, Some((0, 2))).unwrap()), Some((0.0, Duration::from_secs(2))));
}

#[test]
fn a_made_up_hint_caps_nothing() {
    for ceiling in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        assert_eq!(cap(&RateHint { ceiling: Some(ceiling), remaining: Some((1, Duration::MAX)) }), None);
    }
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(",".to_owned()),
        Just(";".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just(" ".to_owned()),
        Just("=".to_owned()),
        prop::sample::select(vec!["q=", "w=", "r=", "t=", "remaining=", "reset=", "\"a\";", "qu=", "-", "."])
            .prop_map(str::to_owned),
        any::<u64>().prop_map(|n| n.to_string()),
        (0..20_u64).prop_map(|n| n.to_string()),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_the_headers_hold_a_cap_is_finite_and_not_negative(
        headers in prop::collection::vec((0..8_usize, prop_oneof![value(), any::<String>()]), 0..8),
        now in any::<i64>(),
    ) {
        const NAMES: [&str; 8] = [
            "ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset",
            "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
        ];
        let headers = headers.into_iter().map(|(name, value)| (NAMES[name].to_owned(), value)).collect();
        if let Some(hint) = rate_limit(&AnswerHead { status: 200, headers }, Timestamp(now)) {
            prop_assert!(hint.ceiling.is_none_or(|ceiling| ceiling.is_finite() && ceiling > 0.0));
            if let Some((calls, holds)) = cap(&hint) {
                prop_assert!(calls.is_finite() && calls >= 0.0);
                prop_assert!(!holds.is_zero() && holds <= LONGEST);
            }
        }
    }

    #[test]
    fn a_policy_that_was_written_as_it_should_be_is_read_as_it_was_meant(
        quotas in prop::collection::vec((1..100_000_u64, prop_oneof![1..61_u64, 1..86_400_u64]), 1..5),
    ) {
        let items: Vec<_> = quotas.iter().enumerate().map(|(n, (q, w))| format!("\"p{n}\";q={q};w={w}")).collect();
        let short = quotas.iter().filter(|(_, w)| *w <= AHEAD.as_secs());
        let due = short.map(|(q, w)| *q as f64 / *w as f64).min_by(f64::total_cmp);
        let hint = read(&[("ratelimit-policy", &items.join(", "))]);
        prop_assert_eq!(hint.and_then(|hint| hint.ceiling), due);
    }
}
