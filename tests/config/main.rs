//! The config as a user meets it: the example of the product, the shipped files, and what is said about mistakes.

mod defaults;
mod examples;
mod files;
mod garbage;
mod mistakes;
mod outside;
mod reload;
