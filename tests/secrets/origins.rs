//! Whatever an answer names, nobody but the tenant is contacted; and each secret goes to its own origin alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use cxtract::config::{Config, Sources};
use cxtract::delivery::SimDisk;
use cxtract::model::{BootId, MachineClock, Ticks, WallClock};
use cxtract::sink::Backstage;
use cxtract::state::{MemoryStore, StoreHandle};
use cxtract::transport::{ByteStream, Dial, DialError, TcpDial};
use cxtract::{Ending, Engine, Seams};
use futures::future::LocalBoxFuture;
use parking_lot::Mutex;

use crate::canary::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, basic, form, forms_of, found};
use crate::hostile::{Asked, Hostile, Reply, Step};
use crate::place::QUICK;

/// Dials, and remembers whom.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<BTreeSet<String>>>);

impl Dial for Watched {
    fn dial(&self, host: &str, port: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        self.0.lock().insert(format!("http://{host}:{port}"));
        TcpDial.dial(host, port)
    }
}

/// Extracts `calls` inside this process; answers how it ended and whom that dialed.
pub fn extract(base_url: &str, auth: &str) -> (Ending, BTreeSet<String>) {
    let yaml = format!(
        "engine: {{threads: 0}}\ntenants:\n  acme:\n    base_url: {base_url}\n    auth: {{client_id: {{env: ID}}, \
         client_secret: {{env: SECRET}}{auth}}}{QUICK}\nreports:\n  calls: {{tenant: acme, template_id: calls, \
         window: {{from: 2024-01-01, to: 2024-01-31}}, page_size: 2}}\n"
    );
    let config = Config::load(&Sources::text("/nowhere/config.yaml", &yaml)).expect("the configuration is right");
    let dialed = Watched::default();
    let start = tokio::time::Instant::now();
    let clock = WallClock::system();
    let seams = Seams {
        dial: Arc::new(dialed.clone()),
        disk: Arc::new(SimDisk::new()),
        store: StoreHandle::inline(Arc::new(MemoryStore::new(clock.clone()))),
        clock,
        ticks: MachineClock::new(Some(BootId(1)), move || Ticks(0).plus(start.elapsed())),
        seed: 1,
        backstage: Backstage::inline(),
    };
    let environment = vec![("ID".to_owned(), CLIENT_ID.to_owned()), ("SECRET".to_owned(), CLIENT_SECRET.to_owned())];
    let ending = actix_rt::System::new().block_on(async move {
        let engine =
            Engine::builder().config(config).environment(environment).seams(seams).start().expect("the engine starts");
        let ending = engine.extract("calls").await.expect("an ending");
        engine.shutdown().await;
        ending
    });
    let dialed = dialed.0.lock().clone();
    (ending, dialed)
}

#[test]
fn s3_no_redirect_makes_anybody_but_the_tenant_hear_of_us() {
    let elsewhere = Hostile::start(|_| None);
    let targets = [
        format!("{}/?t={}", elsewhere.url, form(ACCESS_TOKEN)),
        elsewhere.url.trim_start_matches("http:").to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/elsewhere".to_owned(),
    ];
    for step in [Step::Token, Step::Submit, Step::Status, Step::Page(1), Step::Page(2)] {
        for (nth, status) in [301, 302, 303, 307, 308].into_iter().enumerate() {
            let to = targets[(nth + status as usize + step_number(step)) % targets.len()].clone();
            let moved = move |asked: &Asked| {
                (asked.step == step).then(|| Reply::new(status, "text/html", "moved").header("Location", &to))
            };
            let tenant = Hostile::start(moved);
            let (ending, dialed) = extract(&tenant.url, "");
            assert!(matches!(ending, Ending::Failed(_)), "{step:?} {status}: {ending:?}");
            assert_eq!(dialed, [tenant.url.clone()].into(), "{step:?} {status}");
            assert!(!String::from_utf8_lossy(&tenant.sent()).contains("/elsewhere"), "followed within the tenant");
        }
    }
    assert_eq!(elsewhere.n_connections(), 0);
}

fn step_number(step: Step) -> usize {
    match step {
        Step::Token => 0,
        Step::Submit => 1,
        Step::Status => 2,
        Step::Page(n) => 2 + n as usize,
        Step::Proxy | Step::Other => 9,
    }
}

#[test]
fn s3_no_link_is_followed_wherever_it_leads() {
    let elsewhere = Hostile::start(|_| None);
    for target in [elsewhere.url.as_str(), "http://169.254.169.254/latest/", "file:///etc/passwd", "/elsewhere"] {
        let link = format!("<{target}>; rel=\"next\"");
        let special = move |asked: &Asked| match asked.step {
            Step::Page(1) => Some(Reply::new(200, "text/csv", "name,number\na,1\nb,2\n").header("Link", &link)),
            _ => None,
        };
        let tenant = Hostile::start(special);
        let (_, dialed) = extract(&tenant.url, "");
        assert_eq!(dialed, [tenant.url.clone()].into(), "{target}");
        assert!(!String::from_utf8_lossy(&tenant.sent()).contains("/elsewhere"));
    }
    assert_eq!(elsewhere.n_connections(), 0);
}

#[test]
fn s3_the_api_sees_the_token_alone_and_the_token_endpoint_the_credentials_alone() {
    for client_auth in ["basic", "body"] {
        let short_lived = |asked: &Asked| {
            let life = if asked.nth == 0 { 1 } else { 3600 };
            let answer = serde_json::json!({
                "access_token": ACCESS_TOKEN, "expires_in": life, "refresh_token": REFRESH_TOKEN
            });
            (asked.step == Step::Token).then(|| Reply::json(200, &answer.to_string()))
        };
        let office = Hostile::start(short_lived);
        let api = Hostile::start(|asked| match asked {
            Asked { step: Step::Page(1), nth: 0 } => Some(Reply::json(401, "{}")),
            _ => None,
        });
        let (ending, dialed) =
            extract(&api.url, &format!(", token_url: {}/oauth2/token, client_auth: {client_auth}", office.url));
        assert!(matches!(ending, Ending::Complete(_)), "{ending:?}");
        assert_eq!(dialed, [api.url.clone(), office.url.clone()].into());
        let (to_api, to_office) = (api.sent(), office.sent());
        assert!(!found(&to_api, forms_of(&[ACCESS_TOKEN])).is_empty(), "the api was shown the token");
        assert!(!found(&to_office, forms_of(&[CLIENT_SECRET])).is_empty(), "the endpoint was shown the secret");
        assert!(!found(&to_office, forms_of(&[REFRESH_TOKEN])).is_empty(), "the endpoint was shown the refresh token");
        let mut not_for_the_api = forms_of(&[CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN]);
        not_for_the_api.push(basic());
        assert_eq!(found(&to_api, not_for_the_api), Vec::<String>::new());
        assert_eq!(found(&to_office, forms_of(&[ACCESS_TOKEN])), Vec::<String>::new());
    }
}
