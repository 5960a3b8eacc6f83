import { serveByHand } from './by-hand.js';
import { peopleByMikroOrm } from './people-by-mikro-orm.js';

await serveByHand(await peopleByMikroOrm());
