//! What names, texts and odd characters are made of, besides the words of the standard data set.
//!
//! All of it is invented. Phrases are ASCII and need no quotes, so that a text can be cut anywhere to its length; what
//! does need quotes stands in pieces of its own, already written as CSV.

pub(super) const FIRST_NAMES: [&str; 16] = [
    "Amara",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Fatima",
    "Giorgos",
    "Hana",
    "Ingrid",
    "João",
    "Kwame",
    "Lucía",
    "Mateusz",
    "Noor",
    "Oluwaseun",
    "Petra",
];

pub(super) const LAST_NAMES: [&str; 15] = [
    "Adeyemi",
    "Berg",
    "Castillo",
    "Dąbrowski",
    "Eriksen",
    "Fischer",
    "García",
    "Horváth",
    "Ito",
    "Janssen",
    "Kaplan",
    "Lindqvist",
    "Moreau",
    "Novák",
    "Öztürk",
];

/// The numbers of countries with how many digits follow.
pub(super) const COUNTRIES: [(&str, u32); 8] =
    [("+1", 10), ("+44", 10), ("+49", 10), ("+33", 9), ("+81", 9), ("+55", 10), ("+91", 10), ("+61", 9)];

pub(super) const PHRASES: [&str; 32] = [
    "caller asked about the last invoice ",
    "and wants a refund ",
    "order was delivered to the wrong address ",
    "router restarted twice ",
    "line was noisy ",
    "promised a call back by Friday ",
    "account verified by date of birth ",
    "customer was put on hold ",
    "while the agent spoke to the warehouse ",
    "discount applied to the next bill ",
    "contract ends in March ",
    "password reset link sent ",
    "no further action needed ",
    "transferred to second level ",
    "after a short wait ",
    "serial number did not match ",
    "replacement part is on its way ",
    "caller will send a photo of the receipt ",
    "complaint logged ",
    "agent apologised for the delay ",
    "card was charged twice ",
    "bank confirmed the chargeback ",
    "new tariff explained ",
    "customer declined the offer ",
    "survey answered with a nine ",
    "voicemail left at noon ",
    "chat ended by the visitor ",
    "email bounced ",
    "name on the account was misspelt ",
    "device swapped in the shop ",
    "outage in the region is known ",
    "ticket kept open until then ",
];

pub(super) const QUOTED: [&str; 4] =
    ["\"\"please hold\"\" ", "\"\"never again\"\" ", "the \"\"gold\"\" plan ", "5\"\" screen "];
pub(super) const COMMAS: [&str; 4] = ["yes, no, maybe, ", "items 1, 2 and 3, ", "Cologne, Germany, ", "1,250.00 "];
pub(super) const EMOJI: [&str; 4] = ["🙂 ", "📞 ", "👍🏽 ", "👩\u{200d}👩\u{200d}👧 "];
pub(super) const CJK: [&str; 4] = ["返金をご希望です ", "请稍后回电 ", "배송 지연 ", "再度ご連絡 "];

pub(super) const FRAGILE: [&str; 16] = [
    "e\u{301}",
    "a\u{308}\u{323}",
    "\u{202e}drawer\u{202c}",
    "👨\u{200d}👩\u{200d}👧\u{200d}👦",
    "🇩🇪🇯🇵",
    "\u{10ffff}",
    "x\u{feff}y",
    "a\u{2028}b",
    "\u{a0}\u{2003}",
    "ﷺ",
    "İıſß",
    "\u{200b}\u{200c}",
    "क्षि",
    "שָׁלוֹם",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "\u{fffd}",
];
