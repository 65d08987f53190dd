//! A receiver with its bounds: how large its bodies may be, how many bytes of them are held at once, how fast it takes
//! requests. Each has its own, so that whoever floods one keeps no other from answering.

use std::{num::NonZeroU32, time::Duration};

use axum::body::Body;
use futures_util::StreamExt as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};
use tagboat_intake::Receiver;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A sender that takes longer for its body is cut off.
const LONGEST_BODY_TIME: Duration = Duration::from_secs(10);
/// Bytes are lent in pieces of this size.
const PIECE: usize = 1024;
/// So many seconds' worth of requests may come at once.
const BURST_SECONDS: u32 = 5;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than permitted.
    TooLarge,
    /// It broke off, or came too slowly.
    Broken,
    /// Too many others are being read.
    Crowded,
}

/// A body with the room that it takes until it is dropped.
pub(crate) struct Held<'r> {
    pub(crate) bytes: Vec<u8>,
    room: Vec<SemaphorePermit<'r>>,
}

/// Bodies up to this size, in bytes, may take all the room; larger ones together only half of it, so that the few that
/// may be large leave room for the many that are small.
const SMALL: usize = 256 * 1024;

/// Room for bodies that are being read.
#[derive(Debug)]
pub struct Room {
    largest: usize,
    pieces: Semaphore,
    for_large: Semaphore,
}

impl Room {
    /// For bodies of at most `largest` bytes, `at_once` bytes of them at a time.
    #[must_use]
    pub fn new(largest: usize, at_once: usize) -> Self {
        let pieces = at_once.div_ceil(PIECE).min(Semaphore::MAX_PERMITS);
        Self { largest, pieces: Semaphore::new(pieces), for_large: Semaphore::new(pieces / 2) }
    }

    /// Read a body. Room is taken for what has come, not for what was promised: a sender that sends slowly holds little.
    pub(crate) async fn read(&self, body: Body) -> Result<Held<'_>, Unread> {
        let reading = async {
            let mut held = Held { bytes: Vec::new(), room: Vec::new() };
            let (mut lent, mut lent_to_large) = (0, 0);
            let mut stream = body.into_data_stream();
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|_| Unread::Broken)?;
                let length = held.bytes.len() + chunk.len();
                if length > self.largest {
                    return Err(Unread::TooLarge);
                }
                held.room.push(lend(&self.pieces, length, &mut lent)?);
                if length > SMALL {
                    held.room.push(lend(&self.for_large, length, &mut lent_to_large)?);
                }
                held.bytes.extend_from_slice(&chunk);
            }
            Ok(held)
        };
        tokio::time::timeout(LONGEST_BODY_TIME, reading).await.unwrap_or(Err(Unread::Broken))
    }

    /// The largest body, in bytes.
    pub(crate) fn largest(&self) -> usize {
        self.largest
    }
}

/// Lend the pieces that a body of this length needs beyond those that it has.
fn lend<'r>(pieces: &'r Semaphore, length: usize, lent: &mut usize) -> Result<SemaphorePermit<'r>, Unread> {
    let needed = length.div_ceil(PIECE);
    let missing = u32::try_from(needed.saturating_sub(*lent)).map_err(|_| Unread::TooLarge)?;
    *lent = needed.max(*lent);
    pieces.try_acquire_many(missing).map_err(|_| Unread::Crowded)
}

/// A receiver, as requests find it.
#[derive(Debug)]
pub struct Door {
    pub(crate) receiver: Receiver,
    pub(crate) room: Room,
    pace: DefaultDirectRateLimiter,
}

impl Door {
    /// For bodies of at most `largest` bytes, `at_once` bytes of them at a time, and `per_second` authentic requests on
    /// average.
    #[must_use]
    pub fn new(receiver: Receiver, largest: usize, at_once: usize, per_second: u32) -> Self {
        let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let burst = per_second.saturating_mul(NonZeroU32::new(BURST_SECONDS).unwrap_or(NonZeroU32::MIN));
        let pace = RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst));
        Self { receiver, room: Room::new(largest, at_once), pace }
    }

    /// The receiver.
    #[must_use]
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Take a place among the requests of this second, or say how many seconds to wait. A request that brings several events
    /// takes as many places, as far as there are: it is late, not lost, and so are those behind it.
    pub(crate) fn admit(&self, events: usize) -> Result<(), u64> {
        self.pace.check().map_err(|until| {
            let wait = until.wait_time_from(governor::clock::DefaultClock::default().now());
            wait.as_secs() + 1
        })?;
        let mut more = u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut piece = more;
        while let Some(places) = NonZeroU32::new(piece.min(more)) {
            match self.pace.check_n(places) {
                Ok(Ok(())) => more -= places.get(),
                // There are not so many; fewer, then.
                Ok(Err(_)) | Err(_) => piece = places.get() / 2,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tagboat_intake::{Configured, Kind, Tenancy, credentials};

    async fn read(room: &Room, bytes: usize) -> Result<Held<'_>, Unread> {
        room.read(Body::from(vec![b' '; bytes])).await
    }

    #[tokio::test]
    async fn large_bodies_leave_room_for_small_ones() {
        let mebibyte = 1024 * 1024;
        let room = Room::new(mebibyte, 2 * mebibyte);
        let large = read(&room, mebibyte).await.ok().unwrap();
        assert_eq!(read(&room, mebibyte).await.err(), Some(Unread::Crowded));
        let small: Vec<_> = futures_util::future::join_all((0..4).map(|_| read(&room, SMALL))).await;
        assert!(small.iter().all(Result::is_ok));
        assert_eq!(read(&room, 1).await.err(), Some(Unread::Crowded), "all of it is lent");
        drop((large, small));
        assert!(read(&room, mebibyte).await.is_ok(), "what was lent comes back");
        assert_eq!(read(&room, mebibyte + 1).await.err(), Some(Unread::TooLarge));
    }

    #[test]
    fn a_request_takes_as_many_places_as_it_brings_events() {
        let (name, tenant) = ("ci".parse().unwrap(), "default".parse().unwrap());
        let configured = Configured { secrets: vec!["s3cret".to_owned().into()], ..Configured::default() };
        let receiver = Receiver {
            credentials: credentials(Kind::Generic, &tenant, &name, configured).unwrap(),
            name,
            tenant,
            kind: Kind::Generic,
            registry: None,
            repository: None,
            tenancy: Tenancy::Fixed,
            images: Vec::new(),
        };
        let door = Door::new(receiver, 1000, 1000, 2);
        for events in [0, 1, 8] {
            assert_eq!(door.admit(events), Ok(()), "{events}");
        }
        assert!(door.admit(1).is_err_and(|seconds| seconds >= 1));
        // More than may ever come at once is not refused for ever, and holds up those behind it.
        let door = Door::new(door.receiver, 1000, 1000, 2);
        assert_eq!(door.admit(1000), Ok(()));
        assert!(door.admit(1).is_err());
    }
}
