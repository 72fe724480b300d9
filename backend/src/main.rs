//! The `kraiter` command.

fn main() -> std::process::ExitCode {
    kraiter_backend::run()
}
