// What `signalbox api:types` writes is the inferred type, in every respect.
import type { Api } from '../chat.js';
import type { Api as Flat } from '../elsewhere/api.js';
import { same } from '../support.js';

same<Flat, Api>();
same<Flat['rooms'], Api['rooms']>();
same<Flat['rooms']['observers']['onMessage'], Api['rooms']['observers']['onMessage']>();
// @ts-expect-error another action
same<Flat['rooms']['actions']['create'], Api['rooms']['actions']['update']>();
