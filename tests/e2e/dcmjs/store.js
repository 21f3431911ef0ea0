// store.js PORT FOLDER FILE...: C-STORE files to STORESCP on this machine, on one association.
//
// Prints a line with the status and the transfer syntax of each, and writes <name>.sent into FOLDER:
// the data set as the library's own encoder wrote it, for it encodes anew whatever it sends.
'use strict';

const { writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { Client, Transcoding, log, requests } = require('dcmjs-dimse');

const [port, folder, ...files] = process.argv.slice(2);

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

function storeRequest(file) {
  const request = new requests.CStoreRequest(file);
  request.on('response', (response) => {
    // Only now, for it may have been changed to another transfer syntax that was agreed on.
    const dataSet = request.getDataset();
    const status = response.getStatus().toString(16).padStart(4, '0');
    writeFileSync(join(folder, `${basename(file)}.sent`), dataSet.getDenaturalizedDataset());
    console.log(`${basename(file)} ${status} ${dataSet.getTransferSyntaxUid()}`);
  });
  return request;
}

async function store() {
  await Transcoding.initializeAsync({ logCodecsInfo: false });
  const client = new Client();
  files.forEach((file) => client.addRequest(storeRequest(file)));
  client.on('associationReleased', () => console.log('released'));
  client.on('associationRejected', ({ result, source, reason }) =>
    fail(`rejected ${result}/${source}/${reason}`)
  );
  client.on('networkError', (error) => fail(error.message));
  client.send('127.0.0.1', Number(port), 'DCMJS', 'STORESCP', {
    asyncOps: { maxAsyncOpsInvoked: 8, maxAsyncOpsPerformed: 1 },
  });
}

log.setLevel('error');
store().catch((error) => fail(error.message));
