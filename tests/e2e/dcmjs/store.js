// store.js PORT FOLDER FILE...: C-STORE files to STORESCP on this machine, on one association.
//
// FOLDER gets, for each file, <its name>.wire: the data set as this library's own encoder writes it
// for the presentation context that was used, for it decodes and encodes anew whatever it sends.
'use strict';

const { writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { Client, log, requests } = require('dcmjs-dimse');

const [port, folder, ...files] = process.argv.slice(2);

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

function storeRequest(file) {
  const request = new requests.CStoreRequest(file);
  request.on('response', (response) => {
    console.log(`${basename(file)} ${response.getStatus().toString(16).padStart(4, '0')}`);
    const dataSet = request.getDataset().getDenaturalizedDataset();
    writeFileSync(join(folder, `${basename(file)}.wire`), dataSet);
  });
  return request;
}

log.setLevel('error');
const client = new Client();
files.forEach((file) => client.addRequest(storeRequest(file)));
client.on('associationRejected', (why) => fail(`rejected ${why.result}/${why.source}/${why.reason}`));
client.on('networkError', (error) => fail(error.message));
client.on('associationReleased', () => console.log('released'));
client.send('127.0.0.1', Number(port), 'DCMJS', 'STORESCP', {
  asyncOps: { maxAsyncOpsInvoked: 8, maxAsyncOpsPerformed: 1 },
});
