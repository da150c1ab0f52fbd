mod express_interop;
mod middleware;
mod programs;
mod stores;
mod tidy;
