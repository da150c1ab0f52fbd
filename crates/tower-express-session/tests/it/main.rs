
mod express_interop;
mod programs;
