//! Accepting connections on a CQL listener: how many may wait to log in, and TLS.
//!
//! In: a bound listener. Out: a task a connection, running [`crate::session::serve`].

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::config::limits;
use crate::metrics::Held;
use crate::session::{self, Context};
use crate::tls::ClientStream;
use crate::tls::http::stopped;

/// How many connections of one listener have not logged in.
#[derive(Debug, Default)]
struct Waiting {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place among those who have not logged in; dropped when it has, or is gone.
#[derive(Debug)]
pub struct Unauthenticated {
    waiting: Arc<Waiting>,
    address: IpAddr,
    _gauge: Held,
}

/// Why a connection is turned away at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    All,
    Address,
}

impl Waiting {
    fn enter(self: &Arc<Self>, address: IpAddr, gauge: Held) -> Result<Unauthenticated, Full> {
        let address = address.to_canonical();
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if by_address.values().sum::<usize>() >= limits::UNAUTHENTICATED {
            return Err(Full::All);
        }
        let count = by_address.entry(address).or_default();
        if *count >= limits::UNAUTHENTICATED_PER_ADDRESS && !address.is_loopback() {
            return Err(Full::Address);
        }
        *count += 1;
        Ok(Unauthenticated { waiting: Arc::clone(self), address, _gauge: gauge })
    }
}

impl Drop for Unauthenticated {
    fn drop(&mut self) {
        let mut by_address = self.waiting.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Accepts until `stop` turns true.
pub async fn serve(
    context: Arc<Context>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    mut stop: watch::Receiver<bool>,
) {
    let waiting = Arc::new(Waiting::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        let (tcp, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // No file descriptors left, most likely: it passes, and spinning would not help.
                warn!(cluster = &*context.name, %error, "cannot accept a connection");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                continue;
            }
        };
        context.metrics.connections_accepted.inc();
        let gauge = Held::new(&context.metrics.connections_unauthenticated);
        match waiting.enter(client.ip(), gauge) {
            Ok(place) => spawn(&context, tcp, client, tls.clone(), place),
            Err(full) => {
                let reason = match full {
                    Full::All => "unauthenticated_limit",
                    Full::Address => "address_limit",
                };
                context.metrics.connection_rejected(reason);
                debug!(cluster = &*context.name, %client, reason, "connection turned away");
            }
        }
    }
}

fn spawn(
    context: &Arc<Context>,
    tcp: TcpStream,
    client: SocketAddr,
    tls: Option<TlsAcceptor>,
    place: Unauthenticated,
) {
    let context = Arc::clone(context);
    let (tell, abort) = oneshot::channel();
    let task = tokio::spawn(async move {
        let _open = Held::new(&context.metrics.connections_open);
        let _ = tcp.set_nodelay(true);
        let Ok(abort) = abort.await else { return };
        let stream = match tls {
            None => ClientStream::Plain(tcp),
            Some(tls) => match tokio::time::timeout(limits::TLS_HANDSHAKE, tls.accept(tcp)).await {
                Ok(Ok(stream)) => ClientStream::Tls(Box::new(stream)),
                Ok(Err(error)) => {
                    debug!(%client, %error, "TLS handshake failed");
                    return context.metrics.connection_rejected("tls");
                }
                Err(_) => return context.metrics.connection_rejected("tls_timeout"),
            },
        };
        session::serve(context, stream, client, place, abort).await;
    });
    // The task cannot be over: it waits for this.
    let _ = tell.send(task.abort_handle());
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::gauge::Gauge;

    #[test]
    fn an_address_has_so_many_places_and_all_together_so_many() {
        let (waiting, gauge) = (Arc::new(Waiting::default()), Gauge::default());
        let enter = |address: [u8; 4]| waiting.enter(address.into(), Held::new(&gauge));
        let mut places: Vec<_> =
            (0..limits::UNAUTHENTICATED_PER_ADDRESS).map(|_| enter([192, 0, 2, 1]).unwrap()).collect();
        assert_eq!(enter([192, 0, 2, 1]).unwrap_err(), Full::Address);
        places.pop();
        places.push(enter([192, 0, 2, 1]).unwrap());
        while places.len() < limits::UNAUTHENTICATED {
            places.push(enter([127, 0, 0, 1]).unwrap());
        }
        assert_eq!(enter([192, 0, 2, 2]).unwrap_err(), Full::All);
        drop(places);
        assert!(enter([192, 0, 2, 2]).is_ok());
        assert!(waiting.by_address.lock().unwrap().is_empty(), "addresses that left are forgotten");
    }
}
