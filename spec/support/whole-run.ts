// What `npm run test:all` requires before all else: nothing is made smaller. See population.ts.
process.env['SIGNALBOX_SPECS'] = 'all';
