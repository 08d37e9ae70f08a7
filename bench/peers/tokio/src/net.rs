// SPDX-License-Identifier: BSL-1.0
//! The server of bench/net.py with tokio.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MOST: usize = 256 * 1024;
const REQUEST: usize = 1024;
const PIECE: usize = 64;

async fn echo(mut client: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; MOST];
    loop {
        let n = client.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..n]).await?;
    }
}

async fn answer_in_pieces(mut client: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; REQUEST];
    loop {
        client.read_exact(&mut buffer).await?;
        for piece in buffer.chunks(PIECE) {
            client.write_all(piece).await?;
        }
    }
}

/// `mode`: echo or pieces. Serves until it is killed.
pub async fn serve(mode: String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("LISTENING {}", listener.local_addr().unwrap().port());
    loop {
        let (client, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        if mode == "pieces" {
            tokio::spawn(answer_in_pieces(client));
        } else {
            tokio::spawn(echo(client));
        }
    }
}
