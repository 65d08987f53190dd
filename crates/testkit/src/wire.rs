//! A wire between a client and a server on this machine: it delays what passes, counts it, and can be cut at a byte.
//!
//! Bytes are delivered a given time after they were read, however many are under way, so throughput stays what it is. A
//! timer of the runtime adds up to a millisecond or two each way; without a delay no timer is used.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

const CHUNK: usize = 64 * 1024;
/// How long a client has to take what it was sent, before the reset that throws away the rest.
const BEFORE_THE_RESET: Duration = Duration::from_millis(20);
/// How long a server has to end a connection that was cut.
const AFTER_THE_CUT: Duration = Duration::from_secs(5);

/// From whom bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Up: from the client to the server.
    FromClient,
    /// Down: from the server to the client.
    FromServer,
}

/// The wire; a server to its clients. Dropping it ends every connection.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
    /// Dropping it stops the thread.
    _stop: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: u16,
    delay: Duration,
    connections: AtomicUsize,
    up: AtomicU64,
    down: AtomicU64,
    cut: Mutex<Cut>,
}

#[derive(Debug, Default)]
struct Cut {
    /// From whom, and how many bytes still pass before it.
    armed: Option<(Side, u64)>,
    fired: bool,
}

impl Wire {
    /// Lay it to a port of this machine, where somebody listens by the time the first client comes. `delay` is that of one
    /// direction.
    ///
    /// # Panics
    /// When no port can be bound.
    #[must_use]
    pub fn start(upstream: u16, delay: Duration) -> Self {
        let shared = Arc::new(Shared {
            upstream,
            delay,
            connections: AtomicUsize::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            cut: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel::<()>();
        let carried = Arc::clone(&shared);
        // A thread of its own: a test that blocks must not hold up what is on its way.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(&listener, &carried) => {}
                    // An error means that the value is gone, which is a stop as well.
                    _ = stopped => {}
                }
            });
        });
        Self { port, shared, _stop: stop }
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// An http address behind it: of `config.git`, for example.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.host(), path.trim_start_matches('/'))
    }

    /// How many connections clients made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many bytes were delivered to the server.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        self.shared.up.load(Ordering::SeqCst)
    }

    /// How many bytes were delivered to clients.
    #[must_use]
    pub fn bytes_down(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }

    /// Count from nothing again.
    pub fn reset_counts(&self) {
        self.shared.connections.store(0, Ordering::SeqCst);
        self.shared.up.store(0, Ordering::SeqCst);
        self.shared.down.store(0, Ordering::SeqCst);
    }

    /// Cut once, after so many bytes from this side, counted from now over all connections. The connection on which the last
    /// of them passes is broken: the server gets all that the client had sent, of a cut from the client no more than these
    /// bytes, and then the end of it; the client, of a cut from the server, gets these bytes and then a reset. All other
    /// connections go on. With 0 bytes the next one to come is not delivered.
    ///
    /// # Panics
    /// When the wire panicked.
    pub fn cut_after(&self, side: Side, bytes: u64) {
        *self.shared.cut.lock().unwrap() = Cut { armed: Some((side, bytes)), fired: false };
    }

    /// Cut no more, if that has not happened yet.
    ///
    /// # Panics
    /// When the wire panicked.
    pub fn disarm(&self) {
        self.shared.cut.lock().unwrap().armed = None;
    }

    /// Whether the cut that was armed last has happened.
    ///
    /// # Panics
    /// When the wire panicked.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.shared.cut.lock().unwrap().fired
    }
}

impl Shared {
    /// Of so many bytes that are to be delivered: how many are, and whether the wire is cut after them.
    fn pass(&self, side: Side, length: usize) -> (usize, bool) {
        let (mut passing, mut is_cut) = (u64::try_from(length).unwrap(), false);
        let mut cut = self.cut.lock().unwrap();
        if let Some((armed, left)) = &mut cut.armed
            && *armed == side
        {
            passing = passing.min(*left);
            *left -= passing;
            is_cut = *left == 0;
        }
        if is_cut {
            *cut = Cut { armed: None, fired: true };
        }
        let count = match side {
            Side::FromClient => &self.up,
            Side::FromServer => &self.down,
        };
        count.fetch_add(passing, Ordering::SeqCst);
        (usize::try_from(passing).unwrap(), is_cut)
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            // A client that goes away early is a part of many tests.
            let _ = carry(client, &shared).await;
        });
    }
}

/// One connection, from its beginning to its end.
async fn carry(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    // The handshake of TCP takes a round trip before the client may send.
    wait_until(Instant::now() + shared.delay * 2).await;
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", shared.upstream)).await else {
        return client.set_zero_linger();
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let cut = watch::Sender::new(false);
    {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::join!(
            forward(shared, Side::FromClient, from_client, to_server, &cut),
            forward(shared, Side::FromServer, from_server, to_client, &cut),
        );
    }
    if *cut.borrow() {
        tokio::time::sleep(BEFORE_THE_RESET).await;
        client.set_zero_linger()?;
        drop(client);
        drain(server).await;
    }
    Ok(())
}

/// Some bytes, and when they arrive.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// One direction of a connection.
async fn forward(shared: &Shared, side: Side, from: ReadHalf<'_>, to: WriteHalf<'_>, cut: &watch::Sender<bool>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::join!(read(shared.delay, from, sender, cut.subscribe()), deliver(shared, side, receiver, to, cut));
}

/// Until there is no more, or the connection is cut: then what is here already is the last.
async fn read(
    delay: Duration,
    mut from: ReadHalf<'_>,
    pieces: mpsc::UnboundedSender<Piece>,
    mut cut: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = tokio::select! {
            length = from.read(&mut buffer) => length.unwrap_or(0),
            () = wait_for_the_cut(&mut cut) => from.try_read(&mut buffer).unwrap_or(0),
        };
        let piece = Piece { due: Instant::now() + delay, bytes: buffer[..length].to_vec() };
        if length == 0 || pieces.send(piece).is_err() {
            return;
        }
    }
}

async fn wait_for_the_cut(cut: &mut watch::Receiver<bool>) {
    // An error means that the connection is over.
    let _ = cut.wait_for(|is_cut| *is_cut).await;
}

async fn deliver(
    shared: &Shared,
    side: Side,
    mut pieces: mpsc::UnboundedReceiver<Piece>,
    mut to: WriteHalf<'_>,
    cut: &watch::Sender<bool>,
) {
    while let Some(piece) = pieces.recv().await {
        wait_until(piece.due).await;
        let (passing, is_cut) = shared.pass(side, piece.bytes.len());
        let written = to.write_all(&piece.bytes[..passing]).await;
        if is_cut {
            cut.send_replace(true);
        }
        // Whoever does not take anything any more says so on the other direction too.
        if is_cut || written.is_err() {
            break;
        }
    }
    // The server hears of the end of what it got. A client whose connection was cut gets a reset instead.
    if side == Side::FromClient || !*cut.borrow() {
        let _ = to.shutdown().await;
    }
}

async fn wait_until(due: Instant) {
    if due > Instant::now() {
        tokio::time::sleep_until(due).await;
    }
}

/// Let the server end the connection: a reset could throw away what it has not read yet.
async fn drain(mut server: TcpStream) {
    let mut buffer = vec![0; CHUNK];
    let read_all = async { while server.read(&mut buffer).await.is_ok_and(|length| length > 0) {} };
    // One that goes on for longer gets the reset.
    let _ = tokio::time::timeout(AFTER_THE_CUT, read_all).await;
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        sync::mpsc::{Receiver, channel},
        time::{Duration, Instant},
    };

    use super::{Side, Wire};

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A server that says what it hears. Of every connection that has ended there is everything that came on it.
    fn echo() -> (u16, Receiver<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, sender) = (stream.unwrap(), sender.clone());
                std::thread::spawn(move || {
                    let (mut heard, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        heard.extend_from_slice(&buffer[..length]);
                        // Who has gone away gets no answer.
                        let _ = stream.write_all(&buffer[..length]);
                    }
                    let _ = sender.send(heard);
                });
            }
        });
        (port, receiver)
    }

    fn connect(wire: &Wire) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", wire.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn exchange(stream: &mut TcpStream, bytes: &[u8]) {
        stream.write_all(bytes).unwrap();
        let mut answer = vec![0; bytes.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, bytes);
    }

    /// What comes until the connection ends, in whichever way.
    fn read_to_the_end(stream: &mut TcpStream) -> usize {
        let (mut length, mut buffer) = (0, [0; 1024]);
        while let Ok(more @ 1..) = stream.read(&mut buffer) {
            length += more;
        }
        length
    }

    #[test]
    fn without_a_delay_bytes_pass_and_are_counted() {
        let (port, _ends) = echo();
        let wire = Wire::start(port, Duration::ZERO);
        exchange(&mut connect(&wire), b"hello");
        exchange(&mut connect(&wire), b"again");
        assert_eq!((wire.connections(), wire.bytes_up(), wire.bytes_down()), (2, 10, 10));
        wire.reset_counts();
        assert_eq!((wire.connections(), wire.bytes_up(), wire.bytes_down()), (0, 0, 0));
        assert_eq!(wire.url("/config.git"), format!("http://127.0.0.1:{}/config.git", wire.port()));
    }

    #[test]
    fn a_delay_costs_a_round_trip_for_each_exchange_and_one_to_connect() {
        let (delay, (port, _ends)) = (Duration::from_millis(20), echo());
        let wire = Wire::start(port, delay);
        let start = Instant::now();
        let mut stream = connect(&wire);
        exchange(&mut stream, b"hello");
        assert!(start.elapsed() >= delay * 4, "{:?}", start.elapsed());
        let start = Instant::now();
        exchange(&mut stream, b"hello");
        assert!(start.elapsed() >= delay * 2, "{:?}", start.elapsed());
    }

    #[test]
    fn a_delay_does_not_limit_throughput() {
        let (port, _ends) = echo();
        let wire = Wire::start(port, Duration::from_millis(20));
        let mut stream = connect(&wire);
        let mut writer = stream.try_clone().unwrap();
        let start = Instant::now();
        // One piece at a time would be 256 of them, each a round trip: more than ten seconds.
        let writing = std::thread::spawn(move || writer.write_all(&vec![7; 16 << 20]).unwrap());
        let mut answer = vec![0; 16 << 20];
        stream.read_exact(&mut answer).unwrap();
        writing.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[test]
    fn a_cut_from_the_client_lets_the_server_hear_exactly_so_much() {
        let (port, ends) = echo();
        let wire = Wire::start(port, Duration::from_millis(2));
        let mut stream = connect(&wire);
        exchange(&mut stream, &[1; 100]);
        wire.cut_after(Side::FromClient, 700);
        assert!(!wire.was_cut());
        // The reset may come while this is written.
        let _ = stream.write_all(&[2; 1000]);
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap().len(), 800);
        assert!(wire.was_cut());
        assert!(read_to_the_end(&mut stream) <= 700);
        exchange(&mut connect(&wire), &[3; 1000]);
    }

    #[test]
    fn a_cut_from_the_server_lets_the_client_hear_exactly_so_much_and_the_server_everything() {
        let (port, ends) = echo();
        let wire = Wire::start(port, Duration::from_millis(2));
        let mut stream = connect(&wire);
        exchange(&mut stream, &[1; 100]);
        wire.cut_after(Side::FromServer, 150);
        stream.write_all(&[2; 400]).unwrap();
        assert_eq!(read_to_the_end(&mut stream), 150);
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap().len(), 500);
        assert!(wire.was_cut());
        exchange(&mut connect(&wire), &[3; 1000]);
    }

    #[test]
    fn a_cut_that_is_disarmed_does_not_happen() {
        let (port, _ends) = echo();
        let wire = Wire::start(port, Duration::ZERO);
        wire.cut_after(Side::FromClient, 3);
        wire.disarm();
        exchange(&mut connect(&wire), b"hello");
        assert!(!wire.was_cut());
    }
}
