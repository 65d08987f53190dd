//! Accepting connections, with time-outs and bounds that axum's own loop does not have: whoever sends headers slowly, or
//! takes no answers, holds a connection for seconds; so many connections are open at once, and no one address has them all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::stall::Unstalled;

/// From the opening of a connection, or the end of a request, to the end of the next one's headers.
const LONGEST_HEADER_TIME: Duration = Duration::from_secs(10);
/// How long an answer may wait for the other side to take more of it.
const LONGEST_STALL: Duration = Duration::from_secs(10);
/// Bytes of headers.
const LARGEST_HEADERS: usize = 32 * 1024;
/// Lines of headers.
const MOST_HEADERS: usize = 100;
/// When a connection cannot be accepted (too many open files), others may end meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// Serve until `stop` is ready; then accept nothing more and end what is under way.
pub async fn serve(listener: TcpListener, router: Router, connections: usize, stop: impl Future<Output = ()>) {
    let connections = connections.clamp(2, Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(connections));
    // What stands in front of a server sends everything from one address; it is kept from nothing but the last places.
    let addresses = Arc::new(Addresses { most: connections - (connections / 4).max(1), open: Mutex::default() });
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepting = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepting => accepted,
            () = &mut stop => break,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, peer))) => {
                if let Some(guest) = Addresses::enter(&addresses, peer.ip()) {
                    spawn(stream, (place, guest), &router, &graceful);
                }
            }
            (Err(_), _) => break,
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn spawn(stream: TcpStream, held: (OwnedSemaphorePermit, Guest), router: &Router, graceful: &GracefulShutdown) {
    // Answers are small and waited for. Where it cannot be set they only come a little later.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.clone());
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(LONGEST_HEADER_TIME);
    builder.max_buf_size(LARGEST_HEADERS).max_headers(MOST_HEADERS).half_close(false);
    let stream = Unstalled::new(stream, LONGEST_STALL);
    let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(held);
    });
}

/// How many connections each address has open.
struct Addresses {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that is counted until it is dropped.
struct Guest(Arc<Addresses>, IpAddr);

impl Addresses {
    /// Count one more of this address, unless it has its share.
    fn enter(this: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let address = household(address);
        let mut open = this.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= this.most {
            return None;
        }
        *count += 1;
        Some(Guest(Arc::clone(this), address))
    }
}

/// A household has 2^64 addresses of IPv6, which count as one.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(long) => IpAddr::V6(Ipv6Addr::from_bits(long.to_bits() & (u128::MAX << 64))),
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_one_address_has_all_places() {
        let addresses = Arc::new(Addresses { most: 2, open: Mutex::default() });
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = Addresses::enter(&addresses, one).unwrap();
        let _second = Addresses::enter(&addresses, one).unwrap();
        assert!(Addresses::enter(&addresses, one).is_none());
        assert!(Addresses::enter(&addresses, other).is_some());
        drop(first);
        assert!(Addresses::enter(&addresses, one).is_some());
        assert_eq!(addresses.open.lock().unwrap().len(), 1);
        let of_one_household = ["2001:db8::1", "2001:db8::ffff:1"].map(|text| household(text.parse().unwrap()));
        assert_eq!(of_one_household[0], of_one_household[1]);
        assert_ne!(of_one_household[0], household("2001:db8:0:1::1".parse().unwrap()));
    }
}
