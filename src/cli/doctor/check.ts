import type { App } from '../../server/app.js';
import type { Manifest } from '../application.js';

/** A finding of a check: a fault, or a confirmation that is useful to read. */
export type Finding = Fault | Confirmation;

/** An error keeps the application from working, a warning may do so; a note is useful to know. */
export interface Fault {
  readonly severity: 'error' | 'warning' | 'note';
  /** The state of affairs, in a sentence. */
  readonly text: string;
  /** The remedy, in a sentence. */
  readonly remedy: string;
}

export interface Confirmation {
  readonly severity: 'ok';
  /** The state of affairs, in a sentence. */
  readonly text: string;
}

/** The facts that checks examine. */
export interface Patient {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly manifest: Manifest;
  /** The built application, or the reason why it cannot be loaded. */
  readonly app: App | Error;
}

/** Finds one kind of fault. To add a check, write a function and add it to the list in doctor.ts. */
export type Check = (patient: Patient) => readonly Finding[] | Promise<readonly Finding[]>;
