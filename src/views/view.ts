import type { Scope } from '../scope/scope.js';

/** What a view is given besides the request. */
export interface ViewFacts {
  /** What came as `parameters`, as JSON: what the path names, and whatever else. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The scope of the connection: its user, session, cookies. */
  readonly scope: Scope;
}

/** An existing HTTP handler: `(request) => hono.fetch(request)`, a function of your own, `nodeView(…)`, `injectView(…)`. */
export type View = (request: Request, facts: ViewFacts) => Response | Promise<Response>;
