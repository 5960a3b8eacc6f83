import { setFlagsFromString } from 'node:v8';

// Set before other modules are loaded. In specs the log has no line for each request.
process.env.NODE_ENV = 'test';
process.setSourceMapsEnabled(true);
// PGlite is PostgreSQL as WebAssembly. Specs run for so short a time that optimising it costs more than it saves: 1 s, and 500
// MB.
for (const flag of ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag);
