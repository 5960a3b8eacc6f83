import type { App } from '../../server/app.js';
import type { Manifest } from '../application.js';

/** What a check found: what is wrong, or what is as it should be and good to read. */
export type Finding = Fault | Confirmation;

/** An error keeps the application from working, a warning may; a note is worth knowing. */
export interface Fault {
  readonly severity: 'error' | 'warning' | 'note';
  /** What is the case, in a sentence. */
  readonly text: string;
  /** What to do about it, in a sentence. */
  readonly remedy: string;
}

export interface Confirmation {
  readonly severity: 'ok';
  /** What is the case, in a sentence. */
  readonly text: string;
}

/** What there is to look at. */
export interface Patient {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly manifest: Manifest;
  /** The built application; the reason where it cannot be loaded. */
  readonly app: App | Error;
}

/** One kind of fault. To add one, write a function and put it into the list of doctor.ts. */
export type Check = (patient: Patient) => readonly Finding[] | Promise<readonly Finding[]>;
