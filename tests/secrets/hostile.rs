//! A tenant that sends back all it was sent, in every writing, from plain sockets: no framework tidies up after it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use parking_lot::Mutex;

use crate::canary::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, basic, form, json, percent};

/// Which step of the protocol a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Token,
    Submit,
    Status,
    Page(u64),
    Proxy,
    Other,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub step: Step,
    /// How many of that step came before it.
    pub nth: usize,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    /// What stands behind the status code.
    pub words: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// In chunks of so many bytes, each written on its own.
    pub chunks: Option<usize>,
    /// Fewer bytes of the body are sent than its length says.
    pub is_cut: bool,
}

impl Reply {
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.into(), ..Self::default() }
    }

    pub fn json(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn in_chunks(mut self, bytes: usize) -> Self {
        self.chunks = Some(bytes);
        self
    }
}

fn written(writing: usize, text: &str) -> String {
    match writing {
        0 => text.to_owned(),
        1 => json(text),
        2 => percent(text),
        3 => form(text),
        4 => STANDARD.encode(text),
        5 => URL_SAFE.encode(format!("{text}!")),
        6 => STANDARD_NO_PAD.encode(format!("a:{}", form(text))),
        7 => STANDARD.encode(format!("ab{text}")).chars().flat_map(|c| [c, '\n']).collect(),
        _ => json(&form(text)).replace('%', "\\u0025").replace('/', "\\/"),
    }
}

/// All secrets that a tenant knows, in many writings. What is masked of it is short, so that a message has room for
/// all of one writing.
pub fn echo(writing: usize) -> String {
    let write = |text: &str| written(writing, text);
    let all = [CLIENT_SECRET, ACCESS_TOKEN, REFRESH_TOKEN, CLIENT_ID, &basic()].map(write);
    format!("you sent Basic {} and Bearer {}, {}; {} {}", all[4], all[1], all[0], all[2], all[3])
}

/// The same of what it was shown before it gave out anything.
pub fn echo_of_credentials(writing: usize) -> String {
    let all = echo(writing);
    let given_out = [ACCESS_TOKEN, REFRESH_TOKEN];
    let unknown = given_out.map(|text| written(writing, text));
    unknown.iter().fold(all, |all, text| all.replace(text.as_str(), "-"))
}

/// How many writings there are.
pub const WRITINGS: usize = 9;

/// What a well-behaved tenant answers: two rows, then the end.
pub fn well_behaved(asked: &Asked) -> Reply {
    match asked.step {
        Step::Token => Reply::json(
            200,
            &serde_json::json!({
                "access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3600, "refresh_token": REFRESH_TOKEN
            })
            .to_string(),
        ),
        Step::Submit => Reply::json(202, "{\"queryId\":\"q-1\"}"),
        Step::Status => Reply::json(200, "{\"status\":\"complete\",\"totalRows\":2}"),
        Step::Page(1) => Reply::new(200, "text/csv", "name,number\na,1\nb,2\n"),
        Step::Page(_) => Reply::new(200, "text/csv", ""),
        Step::Proxy | Step::Other => Reply::json(404, "{}"),
    }
}

/// A listening tenant. Its threads end with the process.
pub struct Hostile {
    pub url: String,
    n_connections: Arc<AtomicUsize>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Hostile {
    /// Answers as `special` says, else as a well-behaved tenant.
    pub fn start(special: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (n_connections, sent) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let (count, record, special) = (n_connections.clone(), sent.clone(), Arc::new(special));
        let steps = Arc::<Mutex<Vec<Step>>>::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let (record, special, steps) = (record.clone(), special.clone(), steps.clone());
                std::thread::spawn(move || serve(&stream, &record, &steps, &*special));
            }
        });
        Self { url, n_connections, sent }
    }

    pub fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::SeqCst)
    }

    /// All bytes that were sent to it.
    pub fn sent(&self) -> Vec<u8> {
        self.sent.lock().clone()
    }
}

/// Answers until the client has gone; then there is nobody to tell of a fault.
fn serve(
    stream: &TcpStream,
    record: &Mutex<Vec<u8>>,
    steps: &Mutex<Vec<Step>>,
    special: &dyn Fn(&Asked) -> Option<Reply>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut from = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let mut body = vec![0; length.unwrap_or_default()];
        from.read_exact(&mut body).ok()?;
        record.lock().extend([head, body].concat());
        let asked = {
            let step = step_of(text.lines().next()?);
            let mut steps = steps.lock();
            let nth = steps.iter().filter(|s| **s == step).count();
            steps.push(step);
            Asked { step, nth }
        };
        let reply = special(&asked).unwrap_or_else(|| well_behaved(&asked));
        let goes_on = !reply.is_cut && reply.status < 400;
        send(stream, reply, goes_on)?;
        if !goes_on {
            return None;
        }
    }
}

fn step_of(line: &str) -> Step {
    let page = || line.split("page=").nth(1)?.split(['&', ' ']).next()?.parse().ok();
    match line {
        _ if line.starts_with("CONNECT") => Step::Proxy,
        _ if line.contains("/oauth2/token") => Step::Token,
        _ if line.starts_with("POST") && line.contains("/queries") => Step::Submit,
        _ if line.contains("/results?") => page().map_or(Step::Other, Step::Page),
        _ if line.contains("/queries/") => Step::Status,
        _ => Step::Other,
    }
}

fn send(mut to: &TcpStream, reply: Reply, goes_on: bool) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reply.words);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !goes_on {
        head.push_str("Connection: close\r\n");
    }
    match reply.chunks {
        Some(_) => head.push_str("Transfer-Encoding: chunked\r\n\r\n"),
        None => head.push_str(&format!("Content-Length: {}\r\n\r\n", reply.body.len() + usize::from(reply.is_cut) * 9)),
    }
    to.write_all(head.as_bytes()).ok()?;
    match reply.chunks {
        Some(bytes) => {
            for piece in reply.body.chunks(bytes) {
                to.write_all(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).ok()?;
            }
            to.write_all(b"0\r\n\r\n").ok()
        }
        None => to.write_all(&reply.body).ok(),
    }
}
