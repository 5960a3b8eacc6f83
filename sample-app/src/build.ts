import { bundlePages } from './bundle-pages.js';

await bundlePages();
