//! What the project promises as a whole, on real parts.

mod demo;
mod examples;
mod moto;
mod outage;
mod readme;
mod release;
mod rules;
mod structure;
