//! A TCP proxy between Envoy and the backend: its port stays while what is behind it stops, moves
//! or misbehaves.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::trouble::{Outcome, Trouble};

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Closed as soon as it is made.
    Refuse,
    /// The request goes through; of the answer only this many bytes do, then both sides are closed.
    CutAnswerAfter(usize),
    /// The same, before these bytes come in an answer.
    CutAnswerAt(&'static [u8]),
}

/// What of an answer goes through before both sides are closed.
#[derive(Clone, Copy)]
enum Passing {
    All,
    Bytes(usize),
    UpTo(&'static [u8]),
}

impl Passing {
    /// How many of these bytes, the next ones, go through, and whether it ends with them.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        match self {
            Self::All => (bytes.len(), false),
            Self::Bytes(left) => {
                let passed = bytes.len().min(*left);
                *left -= passed;
                (passed, *left == 0)
            }
            Self::UpTo(mark) => match bytes.windows(mark.len()).position(|it| it == *mark) {
                Some(at) => (at, true),
                None => (bytes.len(), false),
            },
        }
    }
}

#[derive(Debug)]
struct State {
    target: Mutex<SocketAddr>,
    fault: Mutex<Fault>,
    /// Connections that a fault has hit.
    hit: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl FaultProxy {
    pub fn start(target: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.map_err(Trouble::io("listening for the fault proxy"))?;
        let address = listener
            .local_addr()
            .map_err(Trouble::io("finding a port"))?;
        let state = Arc::new(State {
            target: Mutex::new(target),
            fault: Mutex::new(Fault::None),
            hit: AtomicU64::new(0),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.stopping.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&accepting);
                std::thread::spawn(move || state.carry(client));
            }
        });
        Ok(Self { address, state })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections lead.
    pub fn set_target(&self, target: SocketAddr) {
        *lock(&self.state.target) = target;
    }

    /// Applies to all connections from now on; those that are open are closed.
    pub fn set_fault(&self, fault: Fault) {
        *lock(&self.state.fault) = fault;
        for stream in lock(&self.state.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Connections that a fault has hit so far.
    pub fn faults(&self) -> u64 {
        self.state.hit.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::Relaxed);
        self.set_fault(Fault::Refuse);
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn carry(&self, client: TcpStream) -> io::Result<()> {
        let fault = *lock(&self.fault);
        let passing = match fault {
            Fault::None => Passing::All,
            Fault::CutAnswerAfter(limit) => Passing::Bytes(limit),
            Fault::CutAnswerAt(mark) => Passing::UpTo(mark),
            Fault::Refuse => {
                self.hit.fetch_add(1, Ordering::SeqCst);
                return client.shutdown(Shutdown::Both);
            }
        };
        let target = *lock(&self.target);
        let server = match TcpStream::connect(target) {
            Ok(server) => server,
            Err(_) => return client.shutdown(Shutdown::Both),
        };
        lock(&self.open).extend([client.try_clone()?, server.try_clone()?]);
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || pump(from, to, Passing::All));
        if pump(server, client, passing) {
            self.hit.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Copies until either side ends or no more may go through, then closes both. True: the latter.
fn pump(mut from: TcpStream, mut to: TcpStream, mut passing: Passing) -> bool {
    let mut buffer = [0; 16 * 1024];
    let mut cut = false;
    while !cut {
        let Ok(read @ 1..) = from.read(&mut buffer) else {
            break;
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        let (passed, ends) = passing.take(bytes);
        cut = ends;
        if to
            .write_all(bytes.get(..passed).unwrap_or_default())
            .is_err()
        {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    cut
}
