//! The word tables rows are made of, already written as CSV.
//!
//! A field that needs quotes stands here with its quotes, so that making a row is copying bytes: nothing is parsed or
//! escaped on the way, and no other part's idea of CSV can leak into what the judge expects.

/// The columns of an interaction report.
pub(super) const COLUMNS: &str = "contactId,masterContactId,startTime,endTime,agentId,agentName,skillName,mediaType,\
direction,fromAddress,toAddress,disposition,handleSeconds,holdSeconds,queueSeconds,transferred,tags,comments,rowCheck";

pub(super) const AGENTS: [&str; 16] = [
    "Ada Okafor",
    "\"O'Neil, Siobhán\"",
    "Zoë Müller",
    "\"Jean-Luc \"\"JL\"\" Dubois\"",
    "山田 太郎",
    "Łukasz Żółć",
    "Priya Raghunathan",
    "\"Smith, John\"",
    "نور الهدى",
    "Ιωάννης Παππάς",
    "\"de la Cruz, María José\"",
    "Nguyễn Thị Hoa",
    "Bjørn Ødegård",
    "\"Kim \"\"K.C.\"\" Choi\"",
    "Ольга Иванова",
    "Thandiwe Nkosi",
];

pub(super) const SKILLS: [&str; 8] = [
    "Billing EN",
    "Billing DE",
    "\"Sales, outbound\"",
    "Tech support L2",
    "Retention",
    "\"VIP \"\"Gold\"\"\"",
    "Après-vente",
    "技術サポート",
];

pub(super) const MEDIA: [&str; 8] = ["Call", "Chat", "Call", "Email", "Call", "SMS", "Voicemail", "WhatsApp"];

pub(super) const DISPOSITIONS: [&str; 8] = [
    "Resolved",
    "Callback scheduled",
    "",
    "\"Escalated, tier 2\"",
    "\"No answer\"",
    "Wrong number",
    "\"Customer said \"\"no\"\"\"",
    "Resolved",
];

pub(super) const TAGS: [&str; 8] =
    ["", "\"\"", "refund;urgent", "\"late,delivery\"", "vip", "\"a;b,c\"", "follow-up", "🙂"];

/// Pieces of free text, to be put between quotes.
pub(super) const REMARKS: [&str; 24] = [
    "Customer asked for a call back after six",
    "He said \"\"please don't transfer me again\"\", twice",
    "First line\nsecond line",
    "Wrapped by the desktop client\r\nafter eighty columns",
    "Order 4711, 4712, and 4713 are affected",
    "Très satisfait, à rappeler",
    "Grüße aus Köln – 50 % Rabatt",
    "日本語のメモ、改行なし",
    "📞 rang twice, then 👩‍👩‍👧 answered",
    "\"\"",
    "a, b, \"\"c\"\"\n\nd",
    "tab\there",
    "שלום, מה שלומך",
    "Résumé sent; naïve café",
    "=SUM(A1:A9) was in the subject line",
    "-- no remark --",
    "Router rebooted\nline sync ok\nspeed 250/40",
    "The agent noted: \"\"ok\"\"",
    "Payment of € 1.234,56 promised",
    "👍🏽",
    "\r\n",
    "Long hold because of the other department; the customer stayed polite throughout and thanked the agent",
    "С уважением, Ольга",
    "n/a",
];

/// Pieces of free text as legacy templates leave them: unquoted, and broken over two lines.
pub(super) const RAW_REMARKS: [&str; 4] = [
    "Customer hung up\nagent called back",
    "see ticket\nsecond entry",
    "voicemail left\nno answer",
    "erste Zeile\nzweite Zeile",
];
