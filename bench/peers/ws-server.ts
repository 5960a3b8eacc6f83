import { serveByHand } from './by-hand.js';
import { peopleBySql } from './people-by-sql.js';

await serveByHand(await peopleBySql());
