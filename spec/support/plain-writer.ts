import 'reflect-metadata';
import { serveCommands } from './programs.js';
import { openShelves, shelfWrites } from './shelf-service.js';

/** A process that writes the shelves by the ORM alone: without an application, and without a change log. */
const { url }: { readonly url: string } = JSON.parse(process.argv[2] ?? '{}');

const commands = shelfWrites(await openShelves(url));

export type PlainCommands = typeof commands;

serveCommands(commands, {});
