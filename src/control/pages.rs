//! Lists of any length: read a page at a time, and sent as they are read.

use std::future::Future;
use std::io;

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;

use super::batches::Page;
use super::live::generate;
use super::problem::Problem;

/// Rows that are read at once.
pub const PAGE_ROWS: usize = 1000;

/// A list of which the first page is there: an array, or one row a line. `next` reads the page behind a row.
pub fn stream<T, F>(
    lines: bool,
    first: Page<T>,
    mut limit: usize,
    mut next: impl FnMut(T, usize) -> F + Send,
) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    T: Serialize + Send,
    F: Future<Output = Result<Page<T>, Problem>> + Send,
{
    generate(move |pieces| async move {
        let (mut page, mut begun) = (first, false);
        loop {
            let mut bytes = Vec::new();
            for row in &page.rows {
                if !lines {
                    bytes.push(if begun { b',' } else { b'[' });
                }
                begun = true;
                serde_json::to_writer(&mut bytes, row).expect("a row can be written to memory");
                if lines {
                    bytes.push(b'\n');
                }
            }
            limit -= page.rows.len().min(limit);
            let last = page.rows.pop().filter(|_| page.more && limit > 0);
            if last.is_none() && !lines {
                bytes.extend_from_slice(if begun { b"]" } else { b"[]" });
            }
            if pieces.send(Ok(bytes.into())).await.is_err() {
                return;
            }
            let Some(last) = last else { return };
            page = match next(last, limit.min(PAGE_ROWS)).await {
                Ok(page) => page,
                Err(problem) => {
                    // The list is cut off, so that nobody takes it for the whole.
                    pieces.send(Err(io::Error::other(problem.detail))).await.ok();
                    return;
                }
            };
        }
    })
}
