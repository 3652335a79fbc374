//! The blind relay: what a proxy on this runtime costs that looks at nothing.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Accepts until the process ends; each connection gets one to `target`, and bytes are copied both ways.
pub async fn serve(listener: TcpListener, target: SocketAddr) {
    loop {
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(copy(client, target));
        }
    }
}

async fn copy(mut client: TcpStream, target: SocketAddr) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut node = TcpStream::connect(target).await?;
    node.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut node).await?;
    Ok(())
}
