mod express_interop;
mod programs;
mod stores;
