// SPDX-License-Identifier: BSL-1.0
// The measures of threads.cpp, core.cpp and subprocess.cpp with tokio, and its server among those of net.py. Every
// runtime is a `current_thread` one, as our loops are: what asks and what is asked are one thread each, beside those of
// the blocking pool.
//
//   bench_tokio threads | core       prints a JSON object: nanoseconds for one operation, of real time | of processor time
//   bench_tokio spawn COUNT AT_ONCE  starts /bin/true so often; prints microseconds of real time in all
//   bench_tokio cat BYTES            sends so many through `cat`; the same
//   bench_tokio net echo | pieces    serves until it is killed
mod net;

use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{sleep, Sleep};

fn nothing() -> i32 {
    1
}

async fn one() -> i32 {
    1
}

fn runtime(threads: usize) -> Runtime {
    Builder::new_current_thread().enable_all().max_blocking_threads(threads).build().unwrap()
}

// As a task: between two steps of what block_on() itself is given, tokio looks for I/O.
fn run(threads: usize, body: impl Future<Output = ()> + Send + 'static) {
    runtime(threads).block_on(async { tokio::spawn(body).await.unwrap() });
}

async fn to_thread(n: u32) {
    for _ in 0..n {
        spawn_blocking(nothing).await.unwrap();
    }
}

async fn hundred_at_once(n: u32) {
    for _ in 0..n / 100 {
        let calls: Vec<_> = (0..100).map(|_| spawn_blocking(nothing)).collect();
        for call in calls {
            call.await.unwrap();
        }
    }
}

// Another thread runs a runtime; this one asks it `n` times by `ask`.
fn from_another_thread(n: u32, ask: impl Fn(&Handle)) {
    let asked = runtime(1);
    let handle = asked.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let runner = std::thread::spawn(move || asked.block_on(stopped));
    for _ in 0..n {
        ask(&handle);
    }
    stop.send(()).unwrap();
    runner.join().unwrap().unwrap();
}

// What another thread has to do in a runtime is a task.
fn call_and_wait(handle: &Handle) {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    handle.spawn(async move { tell.send(()).unwrap() });
    told.recv().unwrap();
}

fn spawn_and_take(handle: &Handle) {
    let (tell, told) = oneshot::channel();
    handle.spawn(async move { tell.send(one().await) });
    told.blocking_recv().unwrap();
}

async fn spawn_and_await(n: u32) {
    for _ in 0..n {
        tokio::spawn(one()).await.unwrap();
    }
}

async fn yield_often(n: u32) {
    for _ in 0..n {
        yield_now().await;
    }
}

async fn switch_tasks(n: u32) {
    let other = tokio::spawn(yield_often(n / 2));
    yield_often(n / 2).await;
    other.await.unwrap();
}

// A timer of tokio is set by its first poll.
struct PolledOnce(Pin<Box<Sleep>>);

impl Future for PolledOnce {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        assert!(self.0.as_mut().poll(context).is_pending());
        Poll::Ready(())
    }
}

async fn set_and_cancel_timer(n: u32) {
    for _ in 0..n {
        PolledOnce(Box::pin(sleep(Duration::from_secs(3600)))).await;
    }
}

async fn sleep_in_crowd(n: u32) {
    let lengths = (0..n).map(|i| Duration::from_micros(u64::from(i % 1000)));
    let sleepers: Vec<_> = lengths.map(|length| tokio::spawn(sleep(length))).collect();
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
}

async fn start_some(n: u32) {
    for _ in 0..n {
        Command::new("/bin/true").spawn().unwrap().wait().await.unwrap();
    }
}

async fn start_children(count: u32, at_once: u32) {
    let parts: Vec<_> = (0..at_once).map(|_| tokio::spawn(start_some(count / at_once))).collect();
    for part in parts {
        part.await.unwrap();
    }
}

async fn through_cat(size: usize) {
    let mut cat = Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = cat.stdin.take().unwrap();
    let mut output = cat.stdout.take().unwrap();
    let writer = tokio::spawn(async move { input.write_all(&vec![b'x'; size]).await.unwrap() });
    let mut all = Vec::new();
    output.read_to_end(&mut all).await.unwrap();
    writer.await.unwrap();
    cat.wait().await.unwrap();
    assert_eq!(all.len(), size);
}

fn processor_time() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn real(n: u32, body: impl FnOnce(u32)) -> f64 {
    let begin = Instant::now();
    body(n);
    begin.elapsed().as_nanos() as f64 / f64::from(n)
}

fn processor(n: u32, body: impl FnOnce(u32)) -> f64 {
    let begin = processor_time();
    body(n);
    (processor_time() - begin) / f64::from(n)
}

fn print(figures: &[(&str, f64)]) {
    let rows: Vec<_> = figures.iter().map(|(name, value)| format!("\"{}\": {:.2}", name, value)).collect();
    println!("{{{}}}", rows.join(", "));
}

fn threads() {
    let several = std::thread::available_parallelism().unwrap().get() + 4; // as our default executor has
    print(&[
        ("to_thread", real(20_000, |n| run(several, to_thread(n)))),
        ("run_in_executor", real(20_000, |n| run(1, to_thread(n)))),
        ("100 at once, each", real(200_000, |n| run(2, hundred_at_once(n)))),
        ("call_soon_threadsafe", real(20_000, |n| from_another_thread(n, call_and_wait))),
        ("run_coroutine_threadsafe", real(20_000, |n| from_another_thread(n, spawn_and_take))),
    ]);
}

fn core() {
    print(&[
        ("spawn+await", processor(1_000_000, |n| run(1, spawn_and_await(n)))),
        ("switch", processor(2_000_000, |n| run(1, switch_tasks(n)))),
        ("set+cancel timer", processor(1_000_000, |n| run(1, set_and_cancel_timer(n)))),
        ("sleep, 10k at once", processor(10_000, |n| run(1, sleep_in_crowd(n)))),
        ("wake from a thread", real(20_000, |n| from_another_thread(n, call_and_wait))),
    ]);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let begin = Instant::now();
    match words[..] {
        ["threads"] => return threads(),
        ["core"] => return core(),
        ["spawn", count, at_once] => run(1, start_children(count.parse().unwrap(), at_once.parse().unwrap())),
        ["net", mode] => run(1, net::serve(mode.to_string())),
        ["cat", bytes] => run(1, through_cat(bytes.parse().unwrap())),
        _ => panic!("bench_tokio threads | core | spawn COUNT AT_ONCE | cat BYTES | net echo | net pieces"),
    }
    println!("{}", begin.elapsed().as_nanos() as f64 / 1e3);
}
