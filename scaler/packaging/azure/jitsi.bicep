// The role of the scaler, its identity, and a set of bridges as the scaler needs it.
//
//   az deployment group create --resource-group jitsi --template-file jitsi.bicep \
//     --parameters subnet=/subscriptions/…/subnets/jitsi image=/subscriptions/…/images/jvb sshKey="$(cat ~/.ssh/id_ed25519.pub)"
//
// Deploy it once. A later deployment sets the capacity back to `capacity` and takes the scaler's tags away: change the
// set by `az vmss update` instead, or leave `sku` and `tags` out.

@description('Where everything runs.')
param location string = resourceGroup().location

@description('The subnet of the bridges.')
param subnet string

@description('The image of the bridges, with the exporter.')
param image string

@description('Who may sign in.')
param sshKey string

@description('The size of a bridge.')
param size string = 'Standard_D4s_v5'

@description('How many bridges to begin with.')
param capacity int = 2

var actions = loadJsonContent('role.json', 'Actions')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'jitsi-scaler'
  location: location
}

// Its scope is the resource group. The end of an operation and autoscale settings show at the subscription: the guide says how
// to let the identity read them.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'jitsi-scaler')
  properties: {
    roleName: 'jitsi-scaler (${resourceGroup().name})'
    description: 'Scales VM scale sets of Jitsi. It cannot delete a set.'
    type: 'CustomRole'
    permissions: [{ actions: actions, notActions: [] }]
    assignableScopes: [resourceGroup().id]
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, identity.id, role.id)
  properties: {
    roleDefinitionId: role.id
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource bridges 'Microsoft.Compute/virtualMachineScaleSets@2024-07-01' = {
  name: 'jvb-1'
  location: location
  tags: { 'jitsi-fleet': 'jvb' }
  zones: ['1']
  sku: { name: size, capacity: capacity }
  properties: {
    orchestrationMode: 'Uniform'
    // The default of the API is true.
    overprovision: false
    singlePlacementGroup: false
    upgradePolicy: { mode: 'Manual' }
    virtualMachineProfile: {
      osProfile: {
        computerNamePrefix: 'jvb-1-'
        adminUsername: 'jitsi'
        linuxConfiguration: {
          disablePasswordAuthentication: true
          ssh: { publicKeys: [{ path: '/home/jitsi/.ssh/authorized_keys', keyData: sshKey }] }
        }
      }
      storageProfile: {
        imageReference: { id: image }
        osDisk: { createOption: 'FromImage', managedDisk: { storageAccountType: 'Premium_LRS' } }
      }
      networkProfile: {
        networkInterfaceConfigurations: [
          {
            name: 'jvb'
            properties: {
              primary: true
              ipConfigurations: [{ name: 'jvb', properties: { subnet: { id: subnet } } }]
            }
          }
        ]
      }
    }
  }
}

@description('For AZURE_CLIENT_ID where the host of the scaler has several identities.')
output clientId string = identity.properties.clientId
