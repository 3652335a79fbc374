//! Real parts for the tests and the demo.
