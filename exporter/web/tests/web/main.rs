//! Tests of the server through its sockets.

mod auth;
mod promtool;
mod reload;
mod server;
mod support;
mod tls;
mod worker_threads;
