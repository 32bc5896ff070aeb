//! A batch until it is over, and an item until it is: answers that wait for what happens.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::broadcast::Receiver;

use super::batches::{BatchView, ItemFilter, ItemView};
use super::handlers::App;
use super::live::{Feed, generate};
use super::problem::{INTERNAL, Problem, STOPPING};
use super::server::Stop;
use crate::core::event::Event;
use crate::core::id::JobId;
use crate::core::state::batch::ItemState;
use crate::engine::Committed;

/// How often a batch is shown at most: it may change thousands of times a second.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// The batch as it is in `first`, then as it changes, until it is over or the engine stops.
pub fn batch(
    service: App,
    feed: Receiver<Arc<Committed>>,
    stop: Stop,
    first: BatchView,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    generate(move |pieces| async move {
        let mut feed = Feed::new(feed, stop);
        let mut shown = first;
        loop {
            let mut line = serde_json::to_vec(&shown).unwrap_or_default();
            line.push(b'\n');
            if pieces.send(Ok(line.into())).await.is_err() || shown.state.is_finished() {
                return;
            }
            shown = loop {
                // A task that is paused, or goes on, changes when its batches will be through.
                let matters = |event: &Event| {
                    event.job() == Some(shown.id) || matches!(event, Event::TaskPaused(_) | Event::TaskUnpaused(_))
                };
                if !feed.brings(matters).await || !feed.pause(SHOWN_EVERY).await {
                    return;
                }
                match service.batch(shown.id).await {
                    Ok(view) if view != shown => break view,
                    Ok(_) => {}
                    Err(_) => return,
                }
            };
        }
    })
}

/// The item once nobody handles it any more.
pub async fn item(
    service: &App,
    feed: Receiver<Arc<Committed>>,
    stop: Stop,
    batch: JobId,
    item: Box<str>,
) -> Result<ItemView, Problem> {
    let mut feed = Feed::new(feed, stop);
    let filter = ItemFilter { only: Some(item), limit: 1, ..ItemFilter::default() };
    loop {
        let found = service.items(batch, filter.clone()).await?.rows.pop();
        let found = found.ok_or_else(|| Problem::new(INTERNAL, "the item has gone"))?;
        if &*found.state != ItemState::Running.name() {
            return Ok(found);
        }
        if !feed.changed(batch).await {
            return Err(Problem::new(
                STOPPING,
                "the daemon stops; the item is handled on, or again with the next start",
            ));
        }
    }
}
