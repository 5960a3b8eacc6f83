import { loadApplication, readManifest } from '../application.js';
import { type AddCommand, CommandFailed, type Terminal } from '../command.js';
import {
  applicationIsPutTogether,
  channelLayerAnswers,
  databaseAnswers,
  entitiesAreDiscovered,
  limitsAreThere,
  observersHaveGroups,
  originsAreLimited,
  productionIsNoDevelopment,
  schemaOfFrameworkIsIgnored,
} from './application-checks.js';
import type { Check, Finding, Patient } from './check.js';
import {
  metadataIsEmitted,
  nodeIsNewEnough,
  ormPackagesAreOfOneVersion,
  packagesAreLoadedOnce,
  peersAreThereOnce,
  scriptsCompileWithMetadata,
  signalboxIsInstalled,
  typescriptIsNewEnough,
} from './installation-checks.js';

/** The checks, in the order in which their findings are printed. */
const checks: readonly Check[] = [
  nodeIsNewEnough,
  signalboxIsInstalled,
  typescriptIsNewEnough,
  ormPackagesAreOfOneVersion,
  peersAreThereOnce,
  packagesAreLoadedOnce,
  scriptsCompileWithMetadata,
  metadataIsEmitted,
  applicationIsPutTogether,
  entitiesAreDiscovered,
  observersHaveGroups,
  databaseAnswers,
  channelLayerAnswers,
  schemaOfFrameworkIsIgnored,
  originsAreLimited,
  limitsAreThere,
  productionIsNoDevelopment,
];

const DESCRIPTION =
  'Looks at the installation and the built application, and prints what is wrong with each, and what to do about it. The ' +
  'application is not started. The exit code is 1 where there is an error.';

/** `signalbox doctor`: prints what is wrong, and the remedies. */
export const doctor: AddCommand = (program, terminal) => {
  program
    .command('doctor')
    .summary('print what is wrong with the installation and the application')
    .description(DESCRIPTION)
    .option('--json', 'print the findings as JSON')
    .action(async ({ json = false }: { readonly json?: boolean }) => {
      const findings = await examine(await patientOf(terminal));
      terminal.out(json ? `${JSON.stringify(findings, null, 2)}\n` : textOf(findings));
      const errors = findings.filter(({ severity }) => severity === 'error').length;
      if (errors > 0) throw new CommandFailed(errors === 1 ? 'There is one error.' : `There are ${errors} errors.`);
    });
};

async function patientOf({ folder, env, err }: Terminal): Promise<Patient> {
  const manifest = await readManifest(folder);
  const app = await loadApplication({ folder, err }).catch((error: unknown) => {
    if (error instanceof CommandFailed) return error;
    throw error;
  });
  return { folder, env, manifest, app };
}

async function examine(patient: Patient): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const check of checks) found.push(...(await check(patient)));
  return found;
}

function textOf(findings: readonly Finding[]): string {
  const isGood = findings.every(({ severity }) => severity === 'ok');
  const texts = findings.map((finding) => {
    const sentence = `${finding.severity}: ${finding.text}\n`;
    return finding.severity === 'ok' ? sentence : `${sentence}  ${finding.remedy}\n`;
  });
  if (isGood) texts.push(`Nothing is wrong: ${checks.length} checks passed.\n`);
  return texts.join('\n');
}
