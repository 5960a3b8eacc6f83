import type { Scope } from '../scope/scope.js';

/** What a view receives besides the request. */
export interface ViewFacts {
  /** The client's `parameters`, as JSON: those that the path names, and any others. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The scope of the connection: its user, session, cookies. */
  readonly scope: Scope;
}

/** An existing HTTP handler: `(request) => hono.fetch(request)`, a function of your own, `nodeView(…)`, `injectView(…)`. */
export type View = (request: Request, facts: ViewFacts) => Response | Promise<Response>;
