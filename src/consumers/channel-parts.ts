import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { Scope } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import type { Commits } from './arrivals.js';
import type { Ceilings } from './ceilings.js';
import type { ConsumerSocket } from './reach.js';

/** What all connections share. */
export interface ChannelServices {
  readonly layer: ChannelLayer;
  readonly dispatcher: Dispatcher;
  readonly errors: ErrorTranslator;
  readonly unitOfWork: UnitOfWork;
  readonly publisher: Commits;
  readonly logger: Logger;
  readonly settings: Settings;
}

/** What is the connection's own. */
export interface ChannelParts {
  readonly scope: Scope;
  readonly socket: ConsumerSocket;
  readonly ceilings: Ceilings;
}
