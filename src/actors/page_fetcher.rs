//! Fetches pages on one arbiter, for all extractions.
//!
//! Each page is a task of its own, so that a panic loses that page and no other. Its news travels in a guard: whatever
//! becomes of the task, or of this actor with orders still in its mailbox, the writer hears of it.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;

use crate::actors::page::{HeadDue, fetch_page};
use crate::actors::{DeathNotice, FetchPage, Missed, PageFetched, PageMissed, PageNews, TenantLink};
use crate::model::{PageNumber, TenantName};
use crate::tenant::TenantClient;

/// The fetcher of one arbiter.
pub struct PageFetcherActor {
    /// One client per tenant: trust and timeouts differ, and connections belong to an arbiter.
    clients: HashMap<TenantName, (Arc<TenantLink>, TenantClient)>,
    _notice: DeathNotice,
}

impl PageFetcherActor {
    /// A fetcher without connections.
    pub fn new(notice: DeathNotice) -> Self {
        Self { clients: HashMap::new(), _notice: notice }
    }

    fn client(&mut self, tenant: &Arc<TenantLink>) -> TenantClient {
        let entry = self.clients.entry(tenant.name().clone());
        let (link, client) = entry.or_insert_with(|| (tenant.clone(), tenant.client()));
        if !Arc::ptr_eq(link, tenant) {
            (*link, *client) = (tenant.clone(), tenant.client());
        }
        client.clone()
    }
}

impl Actor for PageFetcherActor {
    type Context = Context<Self>;
}

impl Handler<FetchPage> for PageFetcherActor {
    type Result = ();

    fn handle(&mut self, mut order: FetchPage, _: &mut Self::Context) {
        order.news.taken();
        fail::fail_point!(&order.extraction.place("fetcher"));
        let client = self.client(&order.extraction.tenant);
        let FetchPage { extraction, part, number, slot, news } = order;
        actix_rt::spawn(async move {
            let (cancelled, over) = (extraction.clone(), part.clone());
            let head_due = HeadDue::default();
            let page = fetch_page(extraction, part, client, number, slot, head_due.clone());
            let over =
                async { futures::future::select(Box::pin(cancelled.cancelled()), Box::pin(over.is_over())).await };
            match futures::future::select(Box::pin(page), Box::pin(over)).await {
                futures::future::Either::Left((outcome, _)) => news.tell(outcome),
                futures::future::Either::Right((_, page)) => {
                    news.forget();
                    head_due.heard(page).await;
                }
            }
        });
    }
}

/// Tells the writer what became of a page, also when nobody is left to tell it.
#[derive(Debug)]
pub struct PageNewsGuard {
    part: u32,
    number: PageNumber,
    news: Option<PageNews>,
    is_taken: bool,
}

impl PageNewsGuard {
    /// Answers for page `number` of that part.
    pub fn new(part: u32, number: PageNumber, news: PageNews) -> Self {
        Self { part, number, news: Some(news), is_taken: false }
    }

    /// A fetcher has the order in hand: from now on what dies, dies of it.
    fn taken(&mut self) {
        self.is_taken = true;
    }

    fn tell(mut self, outcome: Result<crate::actors::FetchedPage, Missed>) {
        let Some(news) = self.news.take() else { return };
        let (part, number) = (self.part, self.number);
        match outcome {
            Ok(page) => news.fetched.do_send(PageFetched { part, page }),
            Err(why) => news.missed.do_send(PageMissed { part, number, why }),
        }
    }

    /// Nobody wants to know any more.
    fn forget(mut self) {
        self.news = None;
    }
}

impl Drop for PageNewsGuard {
    fn drop(&mut self) {
        if let Some(news) = self.news.take() {
            let why = if self.is_taken { Missed::Panicked } else { Missed::Undelivered };
            news.missed.do_send(PageMissed { part: self.part, number: self.number, why });
        }
    }
}
