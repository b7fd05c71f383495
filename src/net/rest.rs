//! An answer of which only the beginning was read.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::Uri;
use hyper::body::{Body, Incoming};

use super::{BoxError, link::Link, pool::Pool};

/// The body of an answer of which the beginning was read.
#[derive(Debug)]
pub struct BegunBody {
    /// The beginning.
    pub first: Bytes,
    /// What follows; `None` if the beginning is all.
    pub rest: Option<Box<BodyRest>>,
}

impl BegunBody {
    /// Reads the whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// When the body is longer, or breaks off.
    pub async fn whole(self, limit: usize) -> Result<Bytes, BoxError> {
        let too_long = || BoxError::from(format!("more than {limit} bytes"));
        if self.first.len() > limit {
            return Err(too_long());
        }
        let Some(mut rest) = self.rest else { return Ok(self.first) };
        let mut all = BytesMut::from(self.first);
        while let Some(data) = poll_fn(|cx| rest.poll_data(cx)).await.transpose()? {
            if data.len() > limit - all.len() {
                return Err(too_long());
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }
}

/// The rest of an answer's body. It holds the connection, which is free again at its end. Dropping it earlier closes the
/// connection.
#[derive(Debug)]
pub struct BodyRest {
    body: Incoming,
    /// `None` after the end.
    held: Option<(Box<Link>, Pool, Uri)>,
}

impl BodyRest {
    /// The rest of what came over a connection. If there is none, the connection goes back to its pool.
    pub(super) fn of(
        body: Option<Incoming>,
        link: Box<Link>,
        pool: &Pool,
        to: Uri,
    ) -> Option<Box<Self>> {
        if let Some(body) = body {
            return Some(Box::new(Self { body, held: Some((link, pool.clone(), to)) }));
        }
        if link.is_open() {
            pool.put(to, link);
        }
        None
    }

    /// How many bytes follow, if the answer says so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next piece; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let Some((link, ..)) = &mut self.held else { return Poll::Ready(None) };
        let data = ready!(link.poll_data(&mut self.body, cx));
        if data.is_none()
            && let Some((link, pool, to)) = self.held.take()
            && link.is_open()
        {
            pool.put(to, link);
        }
        Poll::Ready(data)
    }
}
