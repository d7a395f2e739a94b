//! The server from outside.

mod auth;
mod promtool;
mod reload;
mod server;
mod support;
mod tls;
mod workers;
