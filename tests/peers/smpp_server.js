// An SMSC on the npm package `smpp`: accepts every bind and submit, sends a receipt when asked to.
// usage: node smpp_server.js <folder with node_modules> [PEM file with key and certificate]
// prints the port, then one JSON per PDU; with a PEM file it speaks TLS.
const fs = require('fs');
const path = require('path');
const smpp = require(path.join(process.argv[2], 'node_modules', 'smpp'));

const say = (row) => process.stdout.write(JSON.stringify(row) + '\n');
const pem = process.argv[3] && fs.readFileSync(process.argv[3]);
let count = 0;

const server = smpp.createServer(pem ? { key: pem, cert: pem } : {}, (session) => {
  session.on('error', () => {});
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(bind, (pdu) => {
      say({ bind, system_id: pdu.system_id, password: pdu.password });
      session.send(pdu.response({ system_id: 'npm-peer' }));
    });
  }
  session.on('enquire_link', (pdu) => { say({ enquire_link: 1 }); session.send(pdu.response()); });
  session.on('unbind', (pdu) => { say({ unbind: 1 }); session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    const id = String(++count);
    const text = pdu.short_message.message;
    say({ submit: id, text: String(text), data_coding: pdu.data_coding, to: pdu.destination_addr });
    session.send(pdu.response({ message_id: id }));
    if (!pdu.registered_delivery) return;
    session.deliver_sm({
      source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr,
      esm_class: 4,
      receipted_message_id: id,
      message_state: 2,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001`
        + ' stat:DELIVRD err:000 text:',
    }, (answer) => say({ receipt: id, status: answer.command_status }));
  });
});
server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));
