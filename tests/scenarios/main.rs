//! Whole scenarios through the real binary, against real servers.

mod bad_input;
mod commands;
mod crashes;
mod demo;
mod main_job;
mod world;
