//! The rows that benchmarks are made of, so that their figures speak of the same data.

/// At least so many bytes of records under a header; `note` gives the fourth of six fields for each record's number.
pub fn records(n_bytes: usize, note: impl Fn(u64) -> String) -> Vec<u8> {
    let mut text = b"id,started,agent,note,queue,seconds\n".to_vec();
    let mut id = 0u64;
    while text.len() < n_bytes {
        id += 1;
        let (agent, note, seconds) = (id % 97, note(id), id % 3600);
        let row = format!("{id},2024-01-01T00:00:00.000Z,agent {agent},{note},billing,{seconds}\n");
        text.extend_from_slice(row.as_bytes());
    }
    text
}

/// Words alone.
pub fn plain() -> String {
    "asked about an invoice and was called back".to_owned()
}

/// A quoted field with commas, doubled quotes and a newline.
pub fn quoted(id: u64) -> String {
    format!("\"asked about \"\"invoice {id}\"\", twice,\nand was called back\"")
}
